"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const OUTSIDE = 1, UNSET = 2, NAN = 4;
  const BLINK_MS = 600; // 1.7 changes a second
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const state = { view: data.has_before ? "split" : "after", split: 0.5, low: 0, high: 1, colours: false, outside: true, shown: "after" };
  let timer = 0;

  const value = q => data.label_values ? data.label_values[q] : data.code.offset + q * data.code.step;
  const number = v => Number.isInteger(v) ? String(v) : Number(v.toPrecision(5)).toString();

  // A sprite has the upper byte of a sample in red, the lower in green, flags in blue.
  const read = async image => {
    if (!image) return null;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const bytes = context.getImageData(0, 0, canvas.width, canvas.height).data;
    const codes = new Uint16Array(bytes.length / 4), flags = new Uint8Array(bytes.length / 4);
    for (let n = 0; n < codes.length; n++) {
      codes[n] = bytes[4 * n] * 256 + bytes[4 * n + 1];
      flags[n] = bytes[4 * n + 2];
    }
    return { codes, flags };
  };

  const hsl = (hue, saturation, light) => {
    const part = n => {
      const k = (n + hue / 30) % 12, a = saturation * Math.min(light, 1 - light);
      return Math.round(255 * (light - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
    };
    return [part(0), part(8), part(4)];
  };
  const labelColour = v => v === 0 ? [0, 0, 0] : hsl((((v * 137.508) % 360) + 360) % 360, 0.65, 0.58);

  // Three bytes for each code that there is.
  const table = () => {
    const colours = new Uint8ClampedArray(3 * (data.code.top + 1));
    const width = Math.max(state.high - state.low, 1e-30);
    for (let q = 0; q <= data.code.top; q++) {
      const grey = 255 * (value(q) - state.low) / width;
      colours.set(state.colours ? labelColour(value(q)) : [grey, grey, grey], 3 * q);
    }
    return colours;
  };

  const paint = (picture, sprite, colours, pixels, from, to) => {
    const { width, height } = picture;
    for (let row = 0; row < height; row++) {
      for (let column = from; column < to; column++) {
        const n = row * width + column, at = 4 * n, flags = sprite.flags[n];
        if (flags & (UNSET | NAN)) {
          const light = flags & UNSET && (row >> 3) + (column >> 3) & 1 ? 34 : 22;
          pixels.set([light, light, light + 6, 255], at);
          continue;
        }
        const c = 3 * sprite.codes[n];
        pixels[at] = colours[c]; pixels[at + 1] = colours[c + 1]; pixels[at + 2] = colours[c + 2]; pixels[at + 3] = 255;
        if (state.outside && flags & OUTSIDE) {
          const mix = (row + column) % 8 < 4 ? 0.62 : 0.4;
          [255, 64, 160].forEach((tint, part) => { pixels[at + part] = pixels[at + part] * (1 - mix) + tint * mix; });
        }
      }
    }
  };

  const draw = () => {
    const colours = table();
    for (const picture of pictures) {
      const { width, height, before, after, context } = picture;
      const image = context.createImageData(width, height);
      const split = state.view === "split" ? Math.round(state.split * width) : 0;
      const whole = before && (state.view === "before" || (state.view === "blink" && state.shown === "before")) ? before : after;
      if (split) paint(picture, before, colours, image.data, 0, split);
      paint(picture, whole, colours, image.data, split, width);
      context.putImageData(image, 0, 0);
      picture.line.hidden = state.view !== "split";
      picture.line.style.left = `${100 * state.split}%`;
      $(".tag.before", picture.root).hidden = !before || !(state.view === "split" || whole === before);
      $(".tag.after", picture.root).hidden = !(state.view === "split" || whole === after);
    }
  };
  let due = 0;
  const redraw = () => { due ||= requestAnimationFrame(() => { due = 0; draw(); }); };

  const show = view => {
    clearInterval(timer);
    if (view === "blink" && calm.matches) {
      say("Blinking is off, since this system asks for less motion. Space changes between before and after.");
      view = state.view === "before" ? "after" : "before";
    }
    state.view = view;
    all("input[name=view]").forEach(input => { input.checked = input.value === view; });
    if (view === "blink") timer = setInterval(() => { state.shown = state.shown === "after" ? "before" : "after"; redraw(); }, BLINK_MS);
    $("#split-row").hidden = view !== "split";
    redraw();
  };
  calm.addEventListener("change", () => { if (calm.matches && state.view === "blink") show("after"); });
  const say = text => { $("#status").textContent = text; };

  const setWindow = (low, high) => {
    [state.low, state.high] = [low, Math.max(high, low + data.code.step)];
    $("#level").value = (state.low + state.high) / 2;
    $("#width").value = state.high - state.low;
    $("#window-values").textContent = `${number(Number(state.low.toPrecision(4)))} to ${number(Number(state.high.toPrecision(4)))}`;
    redraw();
  };
  const choose = n => {
    const chosen = data.windows[n];
    state.colours = chosen.colours;
    all(".grey-only").forEach(element => { element.hidden = chosen.colours; });
    $("#window").value = n;
    setWindow(chosen.low, chosen.high);
  };

  const readout = (picture, event) => {
    const box = picture.canvas.getBoundingClientRect();
    const place = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const column = Math.floor(place[0] * picture.width), row = Math.floor(place[1] * picture.height);
    if (column < 0 || row < 0 || column >= picture.width || row >= picture.height) return;
    const n = row * picture.width + column;
    const told = (name, sprite) => {
      if (!sprite) return "";
      const flags = sprite.flags[n];
      const what = flags & UNSET ? "no voxel" : flags & NAN ? "NaN" : number(value(sprite.codes[n]));
      return `${name} ${what}${flags & OUTSIDE ? " (outside)" : ""}`;
    };
    const world = picture.to_world.map(([a, b, c]) => a * column + b * row + c);
    const names = data.anatomical ? ["R", "A", "S"] : ["x", "y", "z"];
    const at = world.map((w, axis) => `${names[axis]} ${w.toFixed(picture.digits)}`).join("  ");
    $(".readout", picture.root).textContent = [`${at} ${data.unit}`, told("before", picture.before), told(data.has_before ? "after" : "value", picture.after)].filter(Boolean).join(" · ");
  };

  const listen = picture => {
    const view = $(".view", picture.root);
    const move = event => {
      const box = picture.canvas.getBoundingClientRect();
      setSplit((event.clientX - box.left) / box.width);
    };
    view.addEventListener("pointerdown", event => {
      if (state.view !== "split") return;
      view.setPointerCapture(event.pointerId);
      move(event);
    });
    view.addEventListener("pointermove", event => {
      if (event.buttons & 1 && state.view === "split") move(event);
      readout(picture, event);
    });
    view.addEventListener("pointerleave", () => { $(".readout", picture.root).textContent = ""; });
  };
  const setSplit = part => {
    state.split = Math.min(1, Math.max(0, part));
    $("#split").value = Math.round(100 * state.split);
    redraw();
  };

  const KEYS = {
    s: () => show("split"), b: () => show(state.view === "blink" ? "after" : "blink"), 1: () => show("before"), 2: () => show("after"),
    " ": () => show(state.view === "before" ? "after" : "before"),
    w: () => choose((Number($("#window").value) + 1) % data.windows.length),
    o: () => { const box = $("#outside"); if (box) box.click(); },
    l: () => $("#letters").click(),
    arrowleft: () => setSplit(state.split - 0.02), arrowright: () => setSplit(state.split + 0.02),
  };
  const press = event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase(), typed = /^(input|select|textarea|button|summary|a)$/i.test(event.target.tagName);
    const own = (typed || event.target.closest(".scroll")) && (key.startsWith("arrow") || key === " ");
    if (own || !(key in KEYS) || (!data.has_before && "sb12 ".includes(key))) return;
    event.preventDefault();
    KEYS[key]();
  };

  const copy = async () => {
    const text = $("#methods").textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const range = document.createRange();
      range.selectNodeContents($("#methods"));
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      document.execCommand("copy");
    }
    $("#copied").textContent = "Copied.";
  };

  let pictures = [];
  const begin = async () => {
    pictures = await Promise.all(data.pictures.map(async (picture, n) => {
      const root = $(`#picture-${n}`), canvas = $("canvas", root);
      const digits = Math.max(0, Math.min(6, 1 - Math.floor(Math.log10(picture.pixel[0]))));
      const [before, after] = await Promise.all([read($(`#sprite-${n}-before`)), read($(`#sprite-${n}-after`))]);
      return { ...picture, root, canvas, context: canvas.getContext("2d"), line: $(".split", root), digits, before, after };
    }));
    pictures.forEach(listen);
    const { low, high } = data.range;
    for (const [id, least, most] of [["#level", low, high], ["#width", data.code.step, high - low]]) {
      Object.assign($(id), { min: least, max: Math.max(most, least), step: "any" });
      $(id).addEventListener("input", () => {
        const [level, width] = [Number($("#level").value), Number($("#width").value)];
        setWindow(level - width / 2, level + width / 2);
      });
    }
    $("#window").addEventListener("change", event => choose(Number(event.target.value)));
    all("input[name=view]").forEach(input => input.addEventListener("change", () => show(input.value)));
    $("#split").addEventListener("input", event => setSplit(event.target.value / 100));
    $("#letters").addEventListener("change", event => all(".edge,.bar").forEach(edge => { edge.hidden = !event.target.checked; }));
    const outside = $("#outside");
    if (outside) outside.addEventListener("change", () => { state.outside = outside.checked; redraw(); });
    document.addEventListener("keydown", press);
    $("#copy").addEventListener("click", copy);
    $("#json").textContent = JSON.stringify(data, null, 1);
    choose(0);
    show(state.view);
    draw();
    document.documentElement.dataset.ready = "yes";
  };
  begin().catch(error => say(`The pictures cannot be shown: ${error}`));
})();
