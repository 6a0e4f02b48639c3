const DAY_S = 86_400;
const FORMS = {
  day: new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" }),
  minute: new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" }),
  second: new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit", second: "2-digit" }),
};

/** Times as the person's language writes them; the day below the first, and below each that begins another. */
export function onAxis(times: number[], stepS: number): string[] {
  let before = "";
  return times.map((at) => {
    const date = new Date(at * 1000);
    const day = FORMS.day.format(date);
    if (stepS >= DAY_S) return day;
    const time = (stepS < 60 ? FORMS.second : FORMS.minute).format(date);
    const words = day === before ? time : `${time}\n${day}`;
    before = day;
    return words;
  });
}
