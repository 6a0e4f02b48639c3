/** What a person put into a field of several, also by commas, each once. */
export const parted = (given: string[]): string[] => [
  ...new Set(given.flatMap((each) => each.split(",").map((part) => part.trim())).filter(Boolean)),
];
