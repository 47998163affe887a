// Reads values of curves and zooms. Without this script the charts are the same, but fixed.
"use strict";
document.querySelectorAll("svg.frame").forEach(function (svg) {
  var figure = svg.closest("figure"), plot = svg.querySelector(".plot"), read = figure.querySelector(".read");
  var table = figure.querySelector("details.data table"), box = plot.getAttribute("x") ? plot : null;
  if (!table || !box || !read) return;
  var number = function (name) { return parseFloat(plot.getAttribute(name)); };
  var left = number("x"), top = number("y"), width = number("width"), height = number("height");
  var axis = function (name) { var v = svg.dataset[name].split(" ").map(Number); return { low: v[0], high: v[1], log: v[2] }; };
  var full = { x: axis("x"), y: axis("y") }, view = { x: 0, y: 0, w: 1000, h: 1000 }, chosen = -1, start = null;
  var names = [], rows = [], isLines = !!svg.querySelector(".line"), plain = svg.querySelector(".ticks").innerHTML;
  table.querySelectorAll("thead th").forEach(function (th) { names.push(th.textContent); });
  table.querySelectorAll("tbody tr").forEach(function (tr) {
    rows.push(Array.prototype.map.call(tr.children, function (cell) { return cell.textContent; }));
  });
  var hint = read.textContent;
  var xOf = function (row) { return position(full.x, Number(row[isLines ? 0 : 1])); };
  var yOf = function (row) { return 1000 - position(full.y, Number(row[2])); };
  function position(a, v) { return ((a.log ? Math.log10(v) : v) - a.low) / (a.high - a.low) * 1000; }
  function value(a, p) { return a.low + p / 1000 * (a.high - a.low); }
  function place(event) {
    var area = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / area.width;
    return { x: ((event.clientX - area.left) * scale - left) / width, y: ((event.clientY - area.top) * scale - top) / height };
  }
  function show(index) {
    var row = rows[index], words = [];
    if (!row) return;
    chosen = index;
    row.forEach(function (cell, i) { if (cell !== "") words.push(names[i] ? names[i] + " " + cell : cell); });
    read.textContent = words.join(", ");
    var line = plot.querySelector(".cursor");
    if (!line) {
      line = document.createElementNS("http://www.w3.org/2000/svg", "path");
      line.setAttribute("class", "mark cursor");
      plot.appendChild(line);
    }
    line.setAttribute("d", isLines ? "M" + xOf(row) + " -1000V2000" : "M" + xOf(row) + " -1000V2000M-1000 " + yOf(row) + "H2000");
  }
  function nearest(p) {
    var best = -1, distance = Infinity, x = view.x + p.x * view.w, y = view.y + p.y * view.h;
    rows.forEach(function (row, i) {
      var d = isLines ? Math.abs(xOf(row) - x) : Math.hypot((xOf(row) - x) / view.w, (yOf(row) - y) / view.h);
      if (d < distance) { distance = d; best = i; }
    });
    show(best);
  }
  function nice(rough) {
    var power = Math.pow(10, Math.floor(Math.log10(rough)));
    return [1, 2, 5, 10].map(function (f) { return f * power; }).find(function (s) { return s >= rough * 0.999; });
  }
  function ticks(a, low, high, count, draw) {
    var step = nice((high - low) / count);
    for (var i = Math.ceil(low / step); i * step <= high; i++) {
      draw((i * step - low) / (high - low), String(Number((a.log ? Math.pow(10, i * step) : i * step).toPrecision(4))));
    }
  }
  function zoom(next) {
    view = next;
    plot.setAttribute("viewBox", [view.x, view.y, view.w, view.h].join(" "));
    var group = svg.querySelector(".ticks");
    if (view.w === 1000 && view.h === 1000) { group.innerHTML = plain; return; }
    var text = "";
    ticks(full.x, value(full.x, view.x), value(full.x, view.x + view.w), 5, function (share, label) {
      var x = left + share * width;
      text += '<path class="grid" d="M' + x + " " + top + "v" + height + '"/><text class="middle" x="' + x + '" y="' + (top + height + 16) + '">' + label + "</text>";
    });
    ticks(full.y, value(full.y, 1000 - view.y - view.h), value(full.y, 1000 - view.y), 5, function (share, label) {
      var y = top + height - share * height;
      text += '<path class="grid" d="M' + left + " " + y + "h" + width + '"/><text class="end" x="' + (left - 5) + '" y="' + (y + 4) + '">' + label + "</text>";
    });
    group.innerHTML = text;
  }
  function around(factor) {
    var row = rows[chosen], x = row ? xOf(row) : view.x + view.w / 2, w = Math.min(1000, view.w * factor);
    zoom({ x: Math.max(0, Math.min(1000 - w, x - w / 2)), y: view.y, w: w, h: view.h });
  }
  var whole = { x: 0, y: 0, w: 1000, h: 1000 };
  svg.style.touchAction = "pan-y";
  svg.addEventListener("pointerdown", function (event) { start = place(event); });
  svg.addEventListener("pointermove", function (event) { nearest(place(event)); });
  svg.addEventListener("pointerup", function (event) {
    var end = place(event), from = start;
    start = null;
    if (!from || Math.abs(end.x - from.x) < 0.04) return;
    var tall = Math.abs(end.y - from.y) > 0.15;
    var x = Math.max(0, Math.min(from.x, end.x)), w = Math.min(1, Math.max(from.x, end.x)) - x;
    var y = tall ? Math.max(0, Math.min(from.y, end.y)) : 0, h = tall ? Math.min(1, Math.max(from.y, end.y)) - y : 1;
    zoom({ x: view.x + x * view.w, y: view.y + y * view.h, w: w * view.w, h: h * view.h });
  });
  svg.addEventListener("dblclick", function () { zoom(whole); });
  svg.addEventListener("keydown", function (event) {
    var last = rows.length - 1, keys = {
      ArrowRight: function () { show(Math.min(last, chosen + 1)); }, ArrowLeft: function () { show(Math.max(0, chosen - 1)); },
      Home: function () { show(0); }, End: function () { show(last); }, "+": function () { around(0.5); }, "=": function () { around(0.5); },
      "-": function () { around(2); }, Escape: function () { zoom(whole); read.textContent = hint; }
    };
    if (keys[event.key] && !event.ctrlKey && !event.metaKey) { keys[event.key](); event.preventDefault(); }
  });
});
document.querySelectorAll(".slides").forEach(function (root) {
  var label = root.querySelector(".slider"), input = label.querySelector("input"), read = label.querySelector("output");
  var slides = Array.prototype.filter.call(root.children, function (each) { return each.classList.contains("slide"); });
  function show() {
    slides.forEach(function (slide, i) { slide.hidden = i !== Number(input.value); });
    read.textContent = slides[Number(input.value)].getAttribute("aria-label");
    input.setAttribute("aria-valuetext", read.textContent);
  }
  label.hidden = false;
  input.addEventListener("input", show);
  show();
});
