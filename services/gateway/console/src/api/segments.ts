/** Browsers and proxies take `.` and `..` out of a path, however they are encoded: an id that is called so has a `~`
 * before it, and one that looks like that has one more. The API reads paths the same way. */
export const asSegment = (id: string): string => (/^~*\.{1,2}$/.test(id) ? `~${id}` : id);

export const fromSegment = (segment: string): string =>
  /^~+\.{1,2}$/.test(segment) ? segment.slice(1) : segment;
