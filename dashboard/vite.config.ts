import { defineConfig } from "vite";

/** Where `npm run dev` finds a running stack. */
const gateway = process.env.BOARD_GATEWAY ?? "http://127.0.0.1:5000";

export default defineConfig({
  server: { host: "127.0.0.1", proxy: { "/api": gateway, "/openapi.json": gateway } },
  build: {
    target: "es2024",
    // Everything is a file of its own: the content security policy admits nothing inline.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
});
