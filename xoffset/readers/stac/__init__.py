"""Items of SpatioTemporal Asset Catalogs (STAC): where they come from, what they tell, and their files."""
