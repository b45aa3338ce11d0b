/* The page of report(): maps that can be read, series that can be drawn, a network whose dates can be chosen. */
"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (name) => document.getElementById(name);
  const FIRST = "#0b3c6f", PAIR = "#a9743a", SEEK = "#8a1c6b", UNKNOWN = [178, 178, 178];
  const YEAR = 365.25 * 86400;
  // what is chosen; nothing else is remembered
  const state = { layer: null, values: null, sigmas: null, node: null, series: null, date: null, charts: [] };

  // ------------------------------------------------------------------------------------------------- numbers and texts

  /* Value with its standard error, to two digits of that. */
  function told(value, sigma, unit) {
    if (!Number.isFinite(value)) return "no value";
    const tail = unit ? " " + unit : "";
    if (!Number.isFinite(sigma) || sigma <= 0) return plain(value) + tail;
    if (sigma >= 1e6) return plain(value) + " ± " + sigma.toExponential(1) + tail;
    const digits = Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(sigma))));
    return value.toFixed(digits) + " ± " + sigma.toFixed(digits) + tail;
  }

  function plain(value) {
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e7 || size < 1e-4)) return value.toExponential(2);
    return String(size >= 1000 ? Math.round(value) : Number(value.toPrecision(4)));
  }

  const percent = (share) => (share === null ? "unknown" : (100 * share).toFixed(1).replace(/\.0$/, "") + " %");
  const day = (text) => text.slice(0, 10);
  const seconds = (text) => Date.parse(text) / 1000;

  function element(name, attributes, children) {
    const svg = ["svg", "g", "path", "circle", "rect", "text", "title", "line"].includes(name);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    for (const child of children || []) made.append(child);
    return made;
  }

  // ------------------------------------------------------------------------------------------------------ packed values

  async function unpack(held) {
    const bytes = Uint8Array.from(atob(held.data), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const raw = new Uint8Array(await new Response(stream).arrayBuffer());
    const count = held.shape.reduce((product, size) => product * size, 1);
    const values = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const code = raw[i] + (held.planes > 1 ? 256 * raw[count + i] : 0);
      values[i] = code === 0 ? NaN : decode(code, held);
    }
    return values;
  }

  function decode(code, held) {
    if (held.kind === "linear") return (code % 2 ? code - 1 : -code) / 2 * held.step;
    if (held.kind === "logarithmic") return code === 1 ? 0 : held.low * Math.exp((code - 2) * held.rate);
    return code - 1;
  }

  const unpacked = new Map();
  function values(key, held) {
    if (!unpacked.has(key)) unpacked.set(key, unpack(held));
    return unpacked.get(key);
  }

  const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  // --------------------------------------------------------------------------------------------------------------- maps

  /* Value of a layer at node i, from the arrays that it is made of. */
  function valueAt(layer, arrays, i) {
    const [x, y] = arrays;
    if (layer.of === "length") return Math.hypot(x[i], y[i]);
    if (layer.of === "direction") return (Math.atan2(x[i], y[i]) * 180 / Math.PI + 360) % 360;
    return x[i];
  }

  function sigmaAt(layer, arrays, sigmas, i) {
    if (sigmas.length === 0) return NaN;
    if (layer.of === "value") return sigmas[0][i];
    const x = arrays[0][i], y = arrays[1][i], length = Math.hypot(x, y);
    if (layer.of === "direction") return Math.hypot(y * sigmas[0][i], x * sigmas[1][i]) / length ** 2 * 180 / Math.PI;
    if (length === 0) return Math.hypot(sigmas[0][i], sigmas[1][i]);
    return Math.hypot(x * sigmas[0][i], y * sigmas[1][i]) / length;
  }

  function paint(canvas, layer, arrays, grid) {
    canvas.width = grid.columns;
    canvas.height = grid.rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(grid.columns, grid.rows);
    const table = layer.of === "class" ? classColours(layer) : bytesOf(data.maps.palettes[layer.palette]);
    const last = table.length / 3 - 1;
    for (let i = 0; i < grid.columns * grid.rows; i++) {
      const value = valueAt(layer, arrays, i);
      let colour = UNKNOWN, at = 0;
      if (Number.isFinite(value)) {
        const share = layer.of === "class" ? value / last : (value - layer.low) / (layer.high - layer.low);
        at = 3 * Math.round(last * Math.min(1, Math.max(0, share || 0)));
        colour = table;
      }
      for (let part = 0; part < 3; part++) image.data[4 * i + part] = colour[at + part];
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function classColours(layer) {
    return layer.colours.flatMap((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
  }

  function drawBar(place, table, low, high, title) {
    const canvas = element("canvas", { width: 256, height: 1 });
    const context = canvas.getContext("2d"), image = context.createImageData(256, 1);
    for (let i = 0; i < 256; i++) image.data.set([table[3 * i], table[3 * i + 1], table[3 * i + 2], 255], 4 * i);
    context.putImageData(image, 0, 0);
    place.replaceChildren(canvas, element("div", { class: "ends" }, [
      element("span", {}, [low]), element("span", {}, [title]), element("span", {}, [high]),
    ]));
  }

  function drawLegend(layer) {
    const place = byId("bar");
    if (layer.of === "class") {
      place.replaceChildren(element("div", { class: "classes" }, layer.labels.map((label, k) => element("span", {}, [
        element("span", { class: "patch", style: "background:" + layer.colours[k] }), label + ", " + percent(layer.shares[k]),
      ]))));
      return;
    }
    const below = ["min", "both"].includes(layer.extend) ? "≤ " : "", above = ["max", "both"].includes(layer.extend) ? "≥ " : "";
    drawBar(place, bytesOf(data.maps.palettes[layer.palette]), below + plain(layer.low), above + plain(layer.high), layer.unit);
    place.append(element("span", {}, [element("span", { class: "patch", style: "background:rgb(178,178,178)" }), "no value"]));
  }

  function makeMap() {
    const grid = data.maps.grid;
    const size = [grid.rows * grid.step_y, grid.columns * grid.step_x];
    const bounds = L.latLngBounds([0, 0], size);
    // as tall as the grid needs, within what a screen can show
    const tall = byId("map").clientWidth * size[0] / size[1];
    byId("map").style.height = Math.min(620, 0.75 * window.innerHeight, Math.max(280, tall)) + "px";
    const map = L.map("map", {
      crs: L.CRS.Simple, zoomSnap: 0, zoomDelta: 1, attributionControl: false, keyboard: false, minZoom: -40,
      maxZoom: 40, maxBounds: bounds.pad(0.5), bounceAtZoomLimits: false,
    });
    const canvas = element("canvas", {});
    // an overlay of an SVG element takes any element
    L.svgOverlay(canvas, bounds).addTo(map);
    L.rectangle(bounds, { fill: false, color: "#555c66", weight: 1, interactive: false }).addTo(map);
    L.control.scale({ imperial: false, maxWidth: 120 }).addTo(map);
    const cursor = L.rectangle([[0, 0], [0, 0]], { fill: false, color: "#d0006f", weight: 2, interactive: false, className: "seen" });
    const mark = L.circleMarker([0, 0], { radius: 7, fill: false, color: "#111111", weight: 3, interactive: false, className: "seen" });
    const home = () => map.fitBounds(bounds, { animate: false, padding: [4, 4] });
    home();
    map.setMinZoom(map.getZoom() - 1);
    map.setMaxZoom(Math.max(map.getZoom() + 2, Math.log2(64 / Math.min(grid.step_x, grid.step_y))));
    byId("home").addEventListener("click", home);
    window.addEventListener("beforeprint", () => { map.invalidateSize({ animate: false }); home(); });
    return { map, canvas, cursor, mark, grid };
  }

  const placeOf = (grid, node) => ({
    x: grid.left + (node.column + 0.5) * grid.step_x, y: grid.top - (node.row + 0.5) * grid.step_y,
  });
  const latLngOf = (grid, place) => [place.y - (grid.top - grid.rows * grid.step_y), place.x - grid.left];

  function nodeOf(grid, latLng) {
    const column = Math.floor(latLng.lng / grid.step_x), row = grid.rows - 1 - Math.floor(latLng.lat / grid.step_y);
    return column >= 0 && column < grid.columns && row >= 0 && row < grid.rows ? { column, row } : null;
  }

  function read(view, node) {
    if (!state.values) return;
    const layer = state.layer, i = node.row * view.grid.columns + node.column, place = placeOf(view.grid, node);
    const unit = layer.unit, parts = ["x " + plainPlace(place.x) + ", y " + plainPlace(place.y) + " m"];
    const value = valueAt(layer, state.values, i);
    if (layer.of === "class") parts.push(layer.labels[value] || "unknown");
    else parts.push(layer.title + " " + told(value, sigmaAt(layer, state.values, state.sigmas, i), unit));
    if (layer.of === "length" && layer.sigma.length) {
      const names = layer.arrays.map((name) => name.split(".")[1]);
      names.forEach((name, k) => parts.push(name + " " + told(state.values[k][i], state.sigmas[k][i], unit)));
    }
    byId("reading").textContent = parts.join("; ");
    state.node = node;
    const { left, top, step_x: dx, step_y: dy } = view.grid;
    const low = latLngOf(view.grid, { x: left + node.column * dx, y: top - (node.row + 1) * dy });
    view.cursor.setBounds([low, [low[0] + dy, low[1] + dx]]).addTo(view.map);
  }

  const plainPlace = (value) => (Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toFixed(2))));

  async function show(view, number) {
    const layer = data.maps.layers[number];
    const of = (names) => Promise.all(names.map((name) => values(name, data.maps.arrays[name])));
    const [arrays, sigmas] = [await of(layer.arrays), await of(layer.sigma)];
    Object.assign(state, { layer, values: arrays, sigmas });
    paint(view.canvas, layer, arrays, view.grid);
    drawLegend(layer);
    byId("layer-notes").textContent = [layer.title + (layer.dates ? ", " + layer.dates : "") + ".", ...layer.notes].join(" ");
    byId("map").dataset.shown = String(number);
    if (state.node) read(view, state.node);
  }

  function fillLayers() {
    const groups = new Map();
    data.maps.layers.forEach((layer, number) => {
      if (!groups.has(layer.group)) groups.set(layer.group, element("optgroup", { label: layer.group }));
      groups.get(layer.group).append(element("option", { value: number }, [layer.title + (layer.unit ? " [" + layer.unit + "]" : "")]));
    });
    byId("layer").replaceChildren(...groups.values());
  }

  function keys(view) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    byId("map").addEventListener("keydown", (event) => {
      if (event.target !== byId("map") || event.ctrlKey || event.altKey || event.metaKey) return;
      const grid = view.grid, node = state.node || { column: grid.columns >> 1, row: grid.rows >> 1 };
      if (event.key in moves) {
        const step = event.shiftKey ? 10 : 1, [across, down] = moves[event.key];
        const next = { column: node.column + step * across, row: node.row + step * down };
        next.column = Math.min(grid.columns - 1, Math.max(0, next.column));
        next.row = Math.min(grid.rows - 1, Math.max(0, next.row));
        byId("reading").setAttribute("aria-live", "polite");
        read(view, next);
        view.map.panInside(latLngOf(grid, placeOf(grid, next)), { padding: [30, 30], animate: false });
      } else if (event.key === "Enter") draw(view, placeOf(grid, node));
      else if (event.key === "+" || event.key === "=") view.map.zoomIn();
      else if (event.key === "-") view.map.zoomOut();
      else return;
      event.preventDefault();
    });
  }

  async function startMap() {
    if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack the values");
    fillLayers();
    byId("poster").hidden = true;
    const view = makeMap();
    byId("layer").addEventListener("change", (event) => show(view, Number(event.target.value)));
    view.map.on("mousemove", (event) => {
      const node = nodeOf(view.grid, event.latlng);
      byId("reading").setAttribute("aria-live", "off");
      if (node) read(view, node);
    });
    view.map.on("click", (event) => {
      const node = nodeOf(view.grid, event.latlng);
      if (!node) return;
      read(view, node);
      draw(view, placeOf(view.grid, node));
    });
    keys(view);
    await show(view, 0);
    await drawFirst(view);
    document.body.dataset.ready = "yes";
  }

  // ------------------------------------------------------------------------------------------------------------- series

  /* Draw the series of a fast node that has as many dates as any of these, so that there is something to see. */
  async function drawFirst(view) {
    const nodes = data.nodes, grid = view.grid;
    if (!nodes) return;
    const group = nodes.series ? "series" : "pairs", count = nodes[group].dx.shape[1];
    const all = await values("nodes." + group + ".dx", nodes[group].dx);
    let best = null, most = -Infinity;
    nodes.y.forEach((y, row) => nodes.x.forEach((x, column) => {
      const node = { column: Math.floor((x - grid.left) / grid.step_x), row: Math.floor((grid.top - y) / grid.step_y) };
      const value = valueAt(state.layer, state.values, node.row * grid.columns + node.column) / state.layer.high;
      const index = row * nodes.x.length + column;
      const known = all.subarray(index * count, (index + 1) * count).filter(Number.isFinite).length;
      const worth = (value > 0.5 ? known : 0) + value / 2;
      if (value <= 1 && worth > most) [best, most] = [{ x, y }, worth];
    }));
    if (best) await draw(view, best);
  }

  const nearest = (places, place) => places.reduce((best, each, k) => (Math.abs(each - place) < Math.abs(places[best] - place) ? k : best), 0);

  async function draw(view, place) {
    const nodes = data.nodes;
    if (!nodes) return;
    const column = nearest(nodes.x, place.x), row = nearest(nodes.y, place.y);
    const at = { x: nodes.x[column], y: nodes.y[row] };
    const series = await seriesAt(nodes, row * nodes.x.length + column);
    state.series = series;
    view.mark.setLatLng(latLngOf(view.grid, at)).addTo(view.map);
    byId("series").hidden = false;
    const away = Math.hypot(at.x - place.x, at.y - place.y);
    byId("series-title").textContent = "Series at x " + plainPlace(at.x) + ", y " + plainPlace(at.y) + " m";
    byId("series-note").textContent = (away > 0.6 * Math.max(view.grid.step_x, view.grid.step_y)
      ? "The nearest node that has a series, " + plain(away) + " m from the place that was chosen. " : "")
      + (nodes.series ? (nodes.reference ? "Displacement since " + nodes.reference + "." : "Displacement since the reference date.")
        : "The run has no series: each line is the mean velocity of a pair.");
    byId("dates-key").hidden = nodes.series === null;
    byId("pairs-key").textContent = nodes.series ? "pair, from the series at its first date" : "pair, from its first to its second date";
    drawCharts();
    fillTable(series);
  }

  /* Values of a node: for each component the dates and the pairs with both of their ends. */
  async function seriesAt(nodes, index) {
    const found = {};
    for (const name of ["dx", "dy"]) {
      const dates = nodes.series ? await rowOf("series", name, index) : null;
      const sigma = nodes.series && nodes.series["sigma_" + name] ? await rowOf("series", "sigma_" + name, index) : null;
      const pairs = nodes.pairs ? await rowOf("pairs", name, index) : [];
      found[name] = { dates, sigma, pairs: linesOf(nodes, dates, pairs) };
    }
    return found;
  }

  async function rowOf(group, name, index) {
    const held = data.nodes[group][name], all = await values("nodes." + group + "." + name, held), count = held.shape[1];
    return Array.from(all.subarray(index * count, (index + 1) * count));
  }

  /* Lines of the pairs: from the series at the first date to where the pair leads; without a series its mean velocity. */
  function linesOf(nodes, dates, pairs) {
    const lines = [];
    pairs.forEach((value, k) => {
      const [first, second] = [nodes.pairs.reference[k], nodes.pairs.secondary[k]];
      if (!Number.isFinite(value)) return;
      const years = (seconds(second) - seconds(first)) / YEAR;
      const start = dates ? dates[nodes.series.dates.indexOf(first)] : value / years;
      if (Number.isFinite(start)) lines.push({ first, second, value, from: start, to: dates ? start + value : start });
    });
    return lines;
  }

  function drawCharts() {
    state.charts.forEach((chart) => chart.destroy());
    state.charts = [["dx", "chart-x", "x"], ["dy", "chart-y", "y"]].map(([name, id, axis]) => chartOf(byId(id), state.series[name], axis));
  }

  function chartOf(place, series, axis) {
    const has = data.nodes.series !== null, unit = has ? "m" : "m yr⁻¹";
    const ends = series.pairs.flatMap((line) => [line.first, line.second]);
    const texts = has ? data.nodes.series.dates : [...new Set(ends)].sort();
    const times = texts.length ? texts.map(seconds) : [0];
    const points = has ? series.dates.map((value) => (Number.isFinite(value) ? value : null)) : times.map(() => null);
    const title = (has ? "displacement along " : "velocity along ") + axis + " [" + unit + "]";
    const known = points.filter((value) => value !== null).length;
    place.setAttribute("aria-label", title + ": " + known + " dates, " + series.pairs.length + " pairs; the numbers stand in the table below.");
    const chart = new uPlot({
      title, width: Math.max(place.clientWidth, 200), height: 230, legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
      scales: { x: { time: true, range: () => padded(times, 86400) }, y: { range: () => padded(reach(series, points), 1e-3) } },
      axes: [{ font: "12px system-ui", stroke: "#333" }, { font: "12px system-ui", stroke: "#333", size: 56 }],
      series: [{}, { stroke: FIRST, width: 1, spanGaps: true, points: { show: true, size: 8, fill: FIRST } }],
      hooks: { drawAxes: [(u) => under(u, series, points, times)] },
    }, [times, points], place);
    place.dataset.points = String(known);
    return chart;
  }

  function padded(numbers, least) {
    const known = numbers.filter(Number.isFinite);
    if (!known.length) return [-1, 1];
    const low = Math.min(...known), high = Math.max(...known), margin = Math.max(0.06 * (high - low), least);
    return [low - margin, high + margin];
  }

  function reach(series, points) {
    const bars = points.flatMap((value, k) => (value === null ? [] : [value - (series.sigma?.[k] || 0), value + (series.sigma?.[k] || 0)]));
    return [...bars.filter((value) => Math.abs(value) < 1e6), ...series.pairs.flatMap((line) => [line.from, line.to])];
  }

  /* What lies under the dates: pairs, bars of the standard errors, the date that was chosen in the network. */
  function under(u, series, points, times) {
    const pen = u.ctx, x = (time) => u.valToPos(time, "x", true), y = (value) => u.valToPos(value, "y", true);
    const line = (colour, width, x0, y0, x1, y1) => {
      pen.strokeStyle = colour;
      pen.lineWidth = width * devicePixelRatio;
      pen.beginPath();
      pen.moveTo(x0, y0);
      pen.lineTo(x1, y1);
      pen.stroke();
    };
    pen.save();
    pen.beginPath();
    pen.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    pen.clip();
    pen.globalAlpha = series.pairs.length > 60 ? 0.35 : 0.7;
    for (const pair of series.pairs) line(PAIR, data.nodes.series ? 1 : 2.5, x(seconds(pair.first)), y(pair.from), x(seconds(pair.second)), y(pair.to));
    pen.globalAlpha = 1;
    points.forEach((value, k) => {
      if (value === null || !series.sigma || !Number.isFinite(series.sigma[k])) return;
      line(FIRST, 1.5, x(times[k]), y(value - series.sigma[k]), x(times[k]), y(value + series.sigma[k]));
    });
    if (state.date !== null) {
      const at = x(seconds(data.network.dates[state.date]));
      pen.setLineDash([6, 4]);
      line(SEEK, 2, at, u.bbox.top, at, u.bbox.top + u.bbox.height);
    }
    pen.restore();
  }

  function fillTable(series) {
    const rows = [], line = (cells) => element("tr", {}, cells.map((each, k) => element(k ? "td" : "th", k ? {} : { scope: "row" }, [each])));
    const { series: dated, pairs } = data.nodes;
    if (dated) dated.dates.forEach((text, k) => rows.push(line([day(text), ...["dx", "dy"].map((name) => told(series[name].dates[k], series[name].sigma?.[k], "m"))])));
    const count = rows.length;
    if (pairs) pairs.reference.forEach((text, k) => {
      const of = (name) => series[name].pairs.find((each) => each.first === text && each.second === pairs.secondary[k]);
      if (of("dx") && of("dy")) rows.push(line([day(text) + " to " + day(pairs.secondary[k]), ...["dx", "dy"].map((name) => plain(of(name).value) + " m")]));
    });
    const head = element("thead", {}, [element("tr", {}, ["date or pair", "dx", "dy"].map((each) => element("th", { scope: "col" }, [each])))]);
    const caption = element("caption", {}, [count + " dates, " + (rows.length - count) + " pairs"]);
    byId("series-table").replaceChildren(element("table", {}, [caption, head, element("tbody", {}, rows)]));
  }

  // ------------------------------------------------------------------------------------------------------------ network

  function drawNetwork() {
    const net = data.network, place = byId("network"), table = bytesOf(net.palette);
    const margin = 24, width = Math.max(place.clientWidth, 12 * net.dates.length + 2 * margin), height = 190, base = 150;
    const times = net.dates.map(seconds), span = Math.max(times[times.length - 1] - times[0], 1);
    const x = times.map((time) => margin + (width - 2 * margin) * (times.length > 1 ? (time - times[0]) / span : 0.5));
    const longest = Math.max(...net.first.map((first, k) => Math.abs(x[net.second[k]] - x[first])), 1);
    const hasBackward = net.first.some((first, k) => first > net.second[k]);
    const tall = height + (hasBackward ? 34 : 0), svg = element("svg", { width, height: tall, role: "group", "aria-label": "Dates of the network" });
    net.first.forEach((first, k) => {
      const a = x[first], b = x[net.second[k]], high = 2 * 125 * Math.sqrt(Math.abs(b - a) / longest);
      const at = 3 * Math.round(255 * (net.share[k] ?? 0));
      const arc = element("path", {
        class: "pair", d: `M ${a} ${base} Q ${(a + b) / 2} ${base + (a > b ? 0.45 : -1) * high} ${b} ${base}`,
        stroke: `rgb(${table[at]},${table[at + 1]},${table[at + 2]})`, "data-pair": k,
      }, [element("title", {}, [pairText(k)])]);
      svg.append(arc);
    });
    const dots = net.dates.map((text, k) => dotOf(net, k, x, base, labelled(x).has(k) ? text : ""));
    dots.forEach((dot) => svg.append(dot));
    svg.addEventListener("keydown", (event) => {
      const now = state.date ?? 0, next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: dots.length - 1 }[event.key];
      if (event.key === "Enter" || event.key === " ") choose(Number(event.target.dataset.date ?? now));
      else if (next === undefined) return;
      else { choose(Math.min(dots.length - 1, Math.max(0, next))); dots[state.date].focus(); }
      event.preventDefault();
    });
    place.replaceChildren(svg);
    byId("ways-back").hidden = !hasBackward;
    drawBar(byId("network-bar"), table, "0 %", "100 %", "valid");
    if (state.date !== null) mark();
  }

  /* Dates that are written out: the last, the first, and those between that keep clear of the others. */
  function labelled(x) {
    const room = 84, last = x.length - 1, kept = new Set([last]);
    let end = x[0] === x[last] ? x[last] : -Infinity;
    x.forEach((place, k) => {
      if (place - end < room || x[last] - place < 1.5 * room) return;
      kept.add(k);
      end = k === 0 ? place + room / 2 : place;
    });
    return kept;
  }

  function dotOf(net, k, x, base, label) {
    const near = Math.min(k ? x[k] - x[k - 1] : 24, k < x.length - 1 ? x[k + 1] - x[k] : 24);
    const half = Math.max(4, Math.min(12, near / 2)), radius = Math.max(3, Math.min(6, near / 2.5));
    const shape = net.bad[k]
      ? element("rect", { class: "dot bad", x: x[k] - radius, y: base - radius, width: 2 * radius, height: 2 * radius })
      : element("circle", { class: "dot", cx: x[k], cy: base, r: radius });
    const hit = element("rect", { class: "hit", x: x[k] - half, y: base - 16, width: 2 * half, height: 32 });
    const about = day(net.dates[k]) + ", " + pairsOf(k).length + " pairs" + (net.bad[k] ? ", bad" : "");
    const parts = [element("title", {}, [about]), hit, shape];
    if (label) parts.push(element("text", { x: x[k], y: base + 28, "text-anchor": k === 0 ? "start" : k === x.length - 1 ? "end" : "middle", "aria-hidden": "true" }, [day(label)]));
    const dot = element("g", { class: "date", role: "button", tabindex: k ? -1 : 0, "aria-label": about, "data-date": k }, parts);
    dot.addEventListener("click", () => choose(k));
    return dot;
  }

  const pairsOf = (date) => data.network.first.map((first, k) => k).filter((k) => data.network.first[k] === date || data.network.second[k] === date);
  const pairText = (k) => day(data.network.dates[data.network.first[k]]) + " to " + day(data.network.dates[data.network.second[k]]) + ": " + percent(data.network.share[k]) + " valid";

  function choose(date) {
    state.date = date;
    const of = pairsOf(date);
    byId("date-told").replaceChildren(
      element("p", {}, [element("strong", {}, [day(data.network.dates[date])]), ": " + of.length + (of.length === 1 ? " pair" : " pairs") + (data.network.bad[date] ? "; a bad date" : "")]),
      element("ul", {}, of.map((k) => element("li", {}, [pairText(k)]))));
    mark();
    state.charts.forEach((chart) => chart.redraw());
  }

  /* Show which date is chosen in the network and in the table of the dates. */
  function mark() {
    const of = new Set(pairsOf(state.date));
    document.querySelectorAll("#network .pair").forEach((arc) => {
      const isChosen = of.has(Number(arc.dataset.pair));
      arc.classList.toggle("chosen", isChosen);
      arc.classList.toggle("dim", !isChosen);
    });
    document.querySelectorAll("#network g.date").forEach((dot) => {
      const isChosen = Number(dot.dataset.date) === state.date;
      dot.setAttribute("tabindex", isChosen ? 0 : -1);
      dot.setAttribute("aria-pressed", isChosen);
      dot.querySelector(".dot").classList.toggle("chosen", isChosen);
    });
    document.querySelectorAll("#dates tr").forEach((row) => {
      row.classList.toggle("chosen", row.querySelector("button.date")?.dataset.date === String(state.date));
    });
  }

  // -------------------------------------------------------------------------------------------------------------- start

  function pictureOnly(error) {
    byId("poster").hidden = false;
    for (const name of ["map", "bar", "layer-notes"]) byId(name).hidden = true;
    document.querySelector(".controls").hidden = true;
    byId("reading").textContent = "This is a picture of the map only: " + error.message + ".";
    document.body.dataset.ready = "picture";
  }

  let waiting = null;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (data.network) drawNetwork();
      state.charts.forEach((chart) => chart.setSize({ width: Math.max(chart.root.parentElement.clientWidth, 200), height: 230 }));
    }, 150);
  });
  if (data.network) {
    drawNetwork();
    document.querySelectorAll("button.date").forEach((button) => button.addEventListener("click", () => choose(Number(button.dataset.date))));
  }
  if (data.maps) startMap().catch(pictureOnly);
  else document.body.dataset.ready = "no map";
})();
