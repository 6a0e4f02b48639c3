import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import { compressed } from "./plugins/compressed.ts";
import { onlyUsedClasses } from "./plugins/only-used-classes.ts";
import { themeStyles } from "./plugins/theme-styles.ts";

// `make run`, then `npm run dev` with GATEWAY=http://127.0.0.1:8000 for pages that reload as one types.
// The name of the host stays as the browser said it: what is written by a session must come from the host's own pages.
const gateway = { target: process.env.GATEWAY ?? "http://127.0.0.1:8000", changeOrigin: false };

export default defineConfig({
  base: "/console/",
  plugins: [react(), themeStyles(), onlyUsedClasses(), compressed()],
  resolve: { alias: { "@": new URL("./src", import.meta.url).pathname } },
  build: {
    target: "es2023",
    assetsInlineLimit: 0, // a data: URL would need a hole in the content security policy
    chunkSizeWarningLimit: 900,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/v1": gateway, "/console/session": gateway, "/problems": gateway } },
});
