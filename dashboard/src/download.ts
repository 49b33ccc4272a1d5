/** What a completed job made, saved under the name that the service gives it. */

import { downloadResult } from "./api/calls";

/** From here on a file goes straight to the disk where the browser can do that, instead of through memory. */
const LARGE_BYTES = 50_000_000;

interface SavePicker {
  showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

/** Answers the file's name. Raises ApiError. */
export async function saveResult(queue: string, id: string, size: number): Promise<string> {
  const response = await downloadResult(queue, id);
  const name = fileName(response.headers.get("content-disposition")) || `${id}.bin`;
  const pick = (window as SavePicker).showSaveFilePicker;
  if (size >= LARGE_BYTES && pick !== undefined && response.body !== null) {
    const handle = await pick({ suggestedName: name });
    await response.body.pipeTo(await handle.createWritable());
    return handle.name;
  }
  const address = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
  return name;
}

/** The name of a Content-Disposition (RFC 6266): the extended one first. */
function fileName(disposition: string | null): string {
  const extended = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  if (extended !== undefined) {
    try {
      return decodeURIComponent(extended.trim());
    } catch {
      // The plain one, then.
    }
  }
  return /filename="([^"]*)"/i.exec(disposition ?? "")?.[1] ?? "";
}
