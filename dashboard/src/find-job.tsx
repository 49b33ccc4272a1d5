/** The search above all pages: a job by its id, in whatever queue it is. */

import { useState } from "preact/hooks";
import { getJob } from "./api/calls";
import { ApiError, messageOf } from "./api/errors";
import { queueList } from "./live/queues";
import { go, links } from "./route";
import { tell } from "./ui/toasts";

export function FindJob() {
  const [id, setId] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const wanted = id.trim();
    if (wanted === "" || busy) return;
    setBusy(true);
    try {
      const queue = await queueOf(wanted);
      if (queue === undefined) {
        tell(`No queue holds a job ${wanted} that you may see.`, true);
      } else {
        setId("");
        go(links.job(queue, wanted));
      }
    } catch (error) {
      tell(messageOf(error), true);
    } finally {
      setBusy(false);
    }
  };
  return (
    <search class="find">
      <form onSubmit={submit}>
        <input
          type="search"
          aria-label="Find a job by its id"
          placeholder="Job id  /"
          maxLength={128}
          value={id}
          aria-busy={busy}
          onInput={(event) => setId(event.currentTarget.value)}
        />
      </form>
    </search>
  );
}

async function queueOf(id: string): Promise<string | undefined> {
  const names = queueList.value.map((queue) => queue.queueName ?? "");
  const found = await Promise.all(
    names.map(async (name) => {
      try {
        await getJob(name, id);
        return name;
      } catch (error) {
        // It is not there, or no job can have such an id.
        if (error instanceof ApiError && (error.status === 404 || error.status === 400)) return undefined;
        throw error;
      }
    }),
  );
  return found.find((name) => name !== undefined);
}
