"""Published cases, one folder each: `case.toml` says what is needed and published, the module how it is measured."""
