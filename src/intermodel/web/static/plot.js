// Draws the figures marked data-plot with uPlot, from the JSON inside them. Each has its numbers in a table beside it.

/* global uPlot */

const HEIGHT = 220;
const DASHES = [[], [], [], [8, 4], [8, 4], [8, 4]];
const dark = matchMedia("(prefers-color-scheme: dark)");

/** A colour of the style sheet, as it is now. */
function colour(name) {
  const probe = document.createElement("i");
  probe.className = `ink-${name}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const FORMS = {
  s: (value) => (value && value < 0.1 ? `${short.format(value * 1000)} ms` : `${short.format(value)} s`),
  "%": (value) => `${short.format(value)} %`,
  $: (value) => `$${short.format(value)}`,
  "": (value) => (Number.isInteger(value) ? value.toLocaleString("en") : ""), // of what is counted there is no half
};

const DAY_S = 86400;
const inUtc = (form) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...form });
const day = inUtc({ day: "numeric", month: "short" });
const hour = inUtc({ hour: "2-digit", minute: "2-digit" });
const whole = inUtc({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/** Marks of the time axis: hours, and the day where a day begins. */
function times(_, marks, __, ___, step) {
  return marks.map((at) => (step >= DAY_S || at % DAY_S === 0 ? day : hour).format(at * 1000));
}

/** Of the stretches without a value, those too long to draw a line across. */
function longGaps(drawn, _, __, ___, gaps) {
  const most = drawn.bbox.width / 12;
  return gaps.filter(([from, to]) => to - from > most);
}

function series(plot, name, index) {
  const ink = colour(plot.form === "bar" ? "accent" : index % 6);
  const value = (_, raw) => (raw == null ? "–" : FORMS[plot.unit](raw));
  if (plot.form === "bar") {
    return { label: name, value, stroke: ink, fill: ink, paths: uPlot.paths.bars({ size: [0.66, 40] }), points: { show: false } };
  }
  return { label: name, value, stroke: ink, width: 2, dash: DASHES[index % 6], gaps: longGaps, points: { show: true, size: 4, width: 0, fill: ink } };
}

function axis(more) {
  const soft = colour("soft");
  return {
    stroke: soft,
    font: "12px system-ui, sans-serif",
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    ...more,
  };
}

/** From 0 to a little above the highest value; where nothing is above 0, the axis has room all the same. */
function above(plot, highest) {
  const least = plot.unit === "%" ? 5 : 0;
  const most = Math.max(least, (highest || 0) * 1.08) || 1;
  return [0, plot.unit === "%" ? Math.min(104, most) : most];
}

function options(plot, width) {
  const half = plot.form === "bar" && plot.data[0].length > 1 ? (plot.data[0][1] - plot.data[0][0]) / 2 : 0;
  return {
    width,
    height: HEIGHT,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    cursor: { sync: { key: "time" }, y: false, points: { size: 7 } },
    select: { show: false },
    scales: {
      x: { range: (_, from, to) => [from - half, to + half] },
      y: { range: (_, __, highest) => above(plot, highest) },
    },
    axes: [
      axis({ size: 32, space: 64, values: times }),
      axis({ size: 64, values: (_, marks) => marks.map((mark) => FORMS[plot.unit](mark)) }),
    ],
    series: [
      { label: "UTC", value: (_, at) => (at == null ? "–" : (plot.form === "bar" ? day : whole).format(at * 1000)) },
      ...plot.names.map((name, index) => series(plot, name, index)),
    ],
    legend: { markers: { width: 2 } },
  };
}

/** The room inside a figure's padding. */
function room(figure) {
  const style = getComputedStyle(figure);
  return Math.floor(figure.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
}

function draw(figure) {
  const plot = JSON.parse(figure.querySelector("script").textContent);
  figure.hidden = false;
  let drawn;
  const again = () => {
    drawn?.destroy();
    drawn = new uPlot(options(plot, room(figure)), plot.data, figure);
    drawn.root.setAttribute("aria-hidden", "true"); // its numbers are in the table
  };
  again();
  dark.addEventListener("change", again);
  new ResizeObserver(() => {
    const width = room(figure);
    if (width > 0 && width !== drawn.width) drawn.setSize({ width, height: HEIGHT });
  }).observe(figure);
}

document.querySelectorAll("figure[data-plot]").forEach(draw);
