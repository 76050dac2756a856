// Times as people say them, in their own language and time zone.

import { useEffect, useState } from "./html.js";

const TICK_MS = 30_000;
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

const UNITS = [
  ["minute", 60],
  ["hour", 3600],
  ["day", 86_400],
];
const DAYS_SAID = 7;

/** "just now", "5 minutes ago", "yesterday", then the date. */
export function ago(time, now) {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 45) return "just now";
  if (seconds > DAYS_SAID * 86_400) return date.format(new Date(time));
  const [unit, size] = UNITS.findLast(([, size]) => seconds >= size) ?? UNITS[0];
  return relative.format(-Math.max(1, Math.floor(seconds / size)), unit);
}

export const timeOfDay = (time) => clock.format(new Date(time));

export const exactTime = (time) => exact.format(new Date(time));

/** The local day of a time, to compare days by. */
export function dayOf(time) {
  const at = new Date(time);
  return at.getFullYear() * 10_000 + (at.getMonth() + 1) * 100 + at.getDate();
}

/** "Today", "Yesterday", "Monday, 23 November", or with the year where it is another one. */
export function dayName(time, now) {
  const at = new Date(time);
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (at >= midnight) return "Today";
  if (at >= new Date(midnight).setHours(-24)) return "Yesterday";
  return (at.getFullYear() === new Date(now).getFullYear() ? day : dayOfYear).format(at);
}

/** "45 min", "2 h 30 min": an estimate in minutes. */
export function duration(minutes) {
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  return [hours && `${hours} h`, (rest || !hours) && `${rest} min`].filter(Boolean).join(" ");
}

/** The present time, which moves on by itself. */
export function useNow() {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
