import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core";

/** Sea green; the shades in use (8 filled, 3 and 4 as text in the dark) keep WCAG AA on their grounds. */
const brand: MantineColorsTuple = [
  "#e9f7f5",
  "#d3ece9",
  "#a3d9d2",
  "#70c6bb",
  "#4bb5a8",
  "#2fa498",
  "#17897e",
  "#0f766d",
  "#0b6b64",
  "#07534d",
];

/** Slate rather than black: calm at night, and lines stay visible. */
const dark: MantineColorsTuple = [
  "#d5dbe3",
  "#b6bfcb",
  "#97a3b3",
  "#5f6c7e",
  "#3a4555",
  "#2a3341",
  "#1d2531",
  "#151b25",
  "#0f141c",
  "#0a0e14",
];

const SANS = '"Inter", system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const MONO = 'ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace';

export const theme = createTheme({
  colors: { brand, dark },
  primaryColor: "brand",
  primaryShade: { light: 8, dark: 8 },
  defaultRadius: "md",
  cursorType: "pointer",
  fontFamily: SANS,
  fontFamilyMonospace: MONO,
  headings: { fontFamily: SANS, fontWeight: "620" },
  components: {
    Modal: { defaultProps: { centered: true, lockScroll: false, overlayProps: { backgroundOpacity: 0.5 } } },
    Drawer: { defaultProps: { lockScroll: false, overlayProps: { backgroundOpacity: 0.5 } } },
    Table: { defaultProps: { verticalSpacing: "xs", horizontalSpacing: "md", borderColor: "var(--line)" } },
    Paper: { defaultProps: { withBorder: true } },
    Select: { defaultProps: { allowDeselect: false, checkIconPosition: "right" } },
  },
});

/** What AA wants beyond the primary shade, and the surfaces of the page. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": "#526071",
    "--mantine-color-placeholder": "#667386",
    "--mantine-color-error": "#b42318",
    "--mantine-color-anchor": "#0b6b64",
    "--mantine-color-body": "#ffffff",
    "--mantine-color-default-border": "#d8dee6",
    "--page": "#f5f7f9",
    "--surface": "#ffffff",
    "--surface-sunken": "#f0f3f6",
    "--line": "#e2e7ed",
    "--text-strong": "#10171f",
    "--good": "#146c3b",
    "--good-ground": "#e3f4ea",
    "--warn": "#8a4b08",
    "--warn-ground": "#fdf1df",
    "--bad": "#b42318",
    "--bad-ground": "#fdecea",
    "--idle": "#526071",
    "--idle-ground": "#edf0f4",
    "--chart": "#0b7a71",
    "--chart-2": "#b4540a",
    "--chart-3": "#1d5fbf",
    "--chart-4": "#8b2fa3",
    "--chart-5": "#b42318",
    "--chart-6": "#52700f",
  },
  dark: {
    "--mantine-color-dimmed": "#9aa6b6",
    "--mantine-color-placeholder": "#8d99a9",
    "--mantine-color-error": "#ff9a90",
    "--mantine-color-anchor": "#5cc7ba",
    "--mantine-color-default-border": "#323d4d",
    "--page": "#0f141c",
    "--surface": "#151b25",
    "--surface-sunken": "#10161f",
    "--line": "#273140",
    "--text-strong": "#f2f5f8",
    "--good": "#6fd69b",
    "--good-ground": "#12301f",
    "--warn": "#f2bd6e",
    "--warn-ground": "#36260d",
    "--bad": "#ff9a90",
    "--bad-ground": "#3a1613",
    "--idle": "#9aa6b6",
    "--idle-ground": "#202936",
    "--chart": "#4bc0b3",
    "--chart-2": "#f2bd6e",
    "--chart-3": "#7ab0ff",
    "--chart-4": "#d59bf0",
    "--chart-5": "#ff9a90",
    "--chart-6": "#a3d36c",
  },
});
