import {
  convertCssVariables,
  DEFAULT_THEME,
  defaultCssVariablesResolver,
  mergeMantineTheme,
} from "@mantine/core";
import type { Plugin } from "vite";
import { cssVariables, theme } from "../src/theme.ts";

const NAME = "virtual:theme.css";

/**
 * The theme's variables as a file. Mantine would write them into a <style> element, which
 * `default-src 'self'` forbids; so the provider is told not to, and this stands in its place.
 */
export function themeStyles(): Plugin {
  return {
    name: "theme-styles",
    resolveId: (id) => (id === NAME ? `\0${NAME}` : undefined),
    load: (id) => (id === `\0${NAME}` ? css() : undefined),
  };
}

/** The colours that pages name; Mantine's others would be a tenth of all styles. */
const NAMED = new Set(["brand", "dark", "gray", "red", "yellow"]);

function used(variables: Record<string, string>): Record<string, string> {
  const unused = Object.keys(DEFAULT_THEME.colors).filter((colour) => !NAMED.has(colour));
  const ofUnused = new RegExp(`^--mantine-color-(${unused.join("|")})-`);
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !ofUnused.test(name)));
}

function css(): string {
  const merged = mergeMantineTheme(DEFAULT_THEME, theme);
  const defaults = defaultCssVariablesResolver(merged);
  const ours = cssVariables(merged);
  const variables = convertCssVariables({
    variables: { ...used(defaults.variables), ...ours.variables },
    light: { ...used(defaults.light), ...ours.light, "--mantine-color-scheme": "light" },
    dark: { ...used(defaults.dark), ...ours.dark, "--mantine-color-scheme": "dark" },
  });
  const classes = Object.entries(merged.breakpoints).map(
    ([name, width]) =>
      `@media (max-width: calc(${width} - 0.1px)) {.mantine-visible-from-${name} {display: none !important;}}` +
      `@media (min-width: ${width}) {.mantine-hidden-from-${name} {display: none !important;}}`,
  );
  return `${variables}\n${classes.join("\n")}`;
}
