/** How fast jobs go through a queue, or through all: the last minutes of the live figures. */

import { history } from "../live/queues";
import { Chart, type Line } from "../ui/chart";
import { count, DURATION_STEPS, duration } from "../ui/format";

const THROUGHPUT: readonly Line[] = [
  { label: "completed", colour: "--good", of: (sample) => sample.completedPerSecond },
  { label: "failed", colour: "--bad", of: (sample) => sample.failedPerSecond },
];
const LATENCY: readonly Line[] = [
  { label: "wait", colour: "--accent", of: (sample) => sample.waitP95 },
  { label: "run", colour: "--violet", of: (sample) => sample.runP95 },
];

const perSecond = (value: number): string => `${count(value)}/s`;

/** Of all queues together where no name is given; `latency` is the title of the second graph. */
export function Graphs({ queue, latency }: { queue: string; latency: string }) {
  const samples = history.value.get(queue) ?? [];
  return (
    <div class="columns">
      <section class="panel">
        <Chart title="Jobs a second" samples={samples} lines={THROUGHPUT} format={perSecond} />
      </section>
      <section class="panel">
        <Chart title={latency} samples={samples} lines={LATENCY} format={duration} floor={10} steps={DURATION_STEPS} />
      </section>
    </div>
  );
}
