/** A line graph over the last minutes. Its latest values stand beside it as text, for those who cannot see the lines. */

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Sample } from "../live/queues";
import { theme } from "./theme";

export interface Line {
  readonly label: string;
  /** The custom property that holds its colour. */
  readonly colour: string;
  readonly of: (sample: Sample) => number;
}

interface ChartProps {
  readonly title: string;
  readonly samples: readonly Sample[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** The height of the graph is at least this, so that next to nothing looks like it. */
  readonly floor?: number;
  /** Distances between two lines of the grid that make round labels; without them, powers of ten. */
  readonly steps?: readonly number[];
}

const HEIGHT = 150;
const WINDOW_SECONDS = 300;

export function Chart({ title, samples, lines, format, floor = 1, steps }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const look = theme.value;

  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read anew when the theme changes; nothing else ever changes.
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(
        optionsOf(element, { lines, format, floor, ...(steps && { steps }) }),
        dataOf([], lines),
        element,
      );
    };
    draw();
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    sized.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      dark.removeEventListener("change", draw);
      sized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [look]);

  useEffect(() => plot.current?.setData(dataOf(samples, lines)), [samples, lines]);

  const latest = samples.at(-1);
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{title}</span>
        {lines.map((line) => (
          <span key={line.label} class="legend">
            <svg viewBox="0 0 10 10" class="swatch" aria-hidden="true">
              <rect width="10" height="10" rx="2" fill={`var(${line.colour})`} />
            </svg>{" "}
            {line.label} <strong>{latest ? format(line.of(latest)) : "–"}</strong>
          </span>
        ))}
      </figcaption>
      <div ref={place} class="plot" aria-hidden="true" />
    </figure>
  );
}

function dataOf(samples: readonly Sample[], lines: readonly Line[]): uPlot.AlignedData {
  return [samples.map((sample) => sample.time), ...lines.map((line) => samples.map((sample) => line.of(sample)))];
}

type Look = Required<Pick<ChartProps, "lines" | "format" | "floor">> & Pick<ChartProps, "steps">;

function optionsOf(element: HTMLElement, { lines, format, floor, steps }: Look): uPlot.Options {
  const style = getComputedStyle(element);
  // A canvas knows no custom properties, and light-dark() in them is only resolved where it is used as a colour.
  const colour = (property: string): string => {
    element.style.color = `var(${property})`;
    const value = style.color;
    element.style.color = "";
    return value;
  };
  const faint = colour("--text-faint");
  const grid = { stroke: colour("--line"), width: 1 };
  const font = `11px ${style.fontFamily}`;
  return {
    width: Math.max(element.clientWidth, 100),
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 8, 0, 0],
    scales: {
      x: { range: () => [Date.now() / 1000 - WINDOW_SECONDS, Date.now() / 1000] },
      y: { range: (_plot, _low, high) => [0, Math.max(floor, (high || 0) * 1.1)] },
    },
    axes: [
      { stroke: faint, grid, ticks: { show: false }, font, size: 26, space: 80, values: "{HH}:{mm}" },
      {
        stroke: faint,
        grid,
        ticks: { show: false },
        font,
        size: 58,
        space: 36,
        ...(steps && { incrs: [...steps] }),
        values: (_plot, splits) => splits.map(format),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({ label: line.label, stroke: colour(line.colour), width: 1.5, points: { show: false } })),
    ],
  };
}
