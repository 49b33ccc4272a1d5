/** Light, dark, or what the system says. */

import { effect, signal } from "@preact/signals";

const KEY = "board.theme";
const THEMES = ["system", "light", "dark"] as const;
type Theme = (typeof THEMES)[number];

function stored(): Theme {
  const word = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === word) ?? "system";
}

export const theme = signal<Theme>(stored());

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  localStorage.setItem(KEY, theme.value);
});

export function ThemeChoice() {
  return (
    <label class="inline">
      <span>Theme</span>
      <select
        value={theme.value}
        onChange={(event) => {
          theme.value = THEMES.find((one) => one === event.currentTarget.value) ?? "system";
        }}
      >
        {THEMES.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </select>
    </label>
  );
}
