// Dates in the format of a column -> their parts as numbers.

const MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
  "november", "december"];
const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const DAY = 86400000;

// Returns { year, month, day, weekday, hour, minute }, Monday is 0; null if the cell is no such date.
function dateParts(column, cell) {
  column.regex = column.regex || new RegExp(column.pattern);
  const found = column.regex.exec(cell);
  if (!found) return null;
  const groups = found.groups, day = dayOf(groups), clock = clockOf(groups, column.nanoseconds);
  if (day === null || clock === null) return null;
  const whole = day + Math.floor(clock / 1440), date = new Date(whole * DAY), year = date.getUTCFullYear();
  if (column.nanoseconds && (year < 1678 || year > 2261)) return null;
  return {
    year, month: date.getUTCMonth() + 1, day: date.getUTCDate(), weekday: weekdayOf(whole),
    hour: Math.floor(clock / 60) % 24, minute: clock % 60,
  };
}

function weekdayOf(day) {
  return (((day + 3) % 7) + 7) % 7; // 1970 began on a Thursday
}

// Days since 1970.
function daysAt(year, month, day) {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getTime() / DAY;
}

// A group as a number; the default where the format lacks it or it is empty.
function numberIn(groups, name, otherwise) {
  return groups[name] ? Number(groups[name]) : otherwise;
}

function dayOf(groups) {
  if ("V" in groups) return isoWeekDay(groups);
  let year = numberIn(groups, "Y", 1970), month = 1;
  if ("y" in groups) {
    const short = numberIn(groups, "y", 70);
    year = (short < 69 ? 2000 : 1900) + short;
  }
  if ("m" in groups) month = numberIn(groups, "m", 1);
  else if ("b" in groups) month = placeIn(MONTHS, groups.b) + 1;
  else if ("q" in groups) month = 3 * numberIn(groups, "q", 1) - 2;
  const day = numberIn(groups, "d", 1), days = daysAt(year, month, day);
  const isReal = month >= 1 && month <= 12 && day >= 1 && day <= new Date(daysAt(year, month + 1, 1) * DAY - DAY).getUTCDate();
  if (!isReal || year < 1) return null;
  return "a" in groups && placeIn(WEEKDAYS, groups.a) !== weekdayOf(days) ? null : days;
}

// The Monday of an ISO week, or a day of it.
function isoWeekDay(groups) {
  const year = numberIn(groups, "G", 1970), week = numberIn(groups, "V", 1), first = daysAt(year, 1, 4);
  const monday = first - weekdayOf(first) + 7 * (week - 1);
  const ofYear = new Date((monday + 3) * DAY).getUTCFullYear();
  if (ofYear !== year || year < 1 || week < 1) return null;
  return monday + numberIn(groups, "u", 1) - 1;
}

// The place of a name, complete or its first three letters; -1 for others.
function placeIn(names, text) {
  const name = text.toLowerCase().replace(/\.+$/, "");
  return names.findIndex((each) => each === name || each.slice(0, 3) === name || (each === "september" && name === "sept"));
}

// Minutes since midnight; null if there is no such time. Seconds are read and left out.
function clockOf(groups, nanoseconds) {
  if (!("H" in groups)) return 0;
  let hour = numberIn(groups, "H", 0);
  const minute = numberIn(groups, "M", 0), second = numberIn(groups, "S", 0);
  const half = (groups.p || "").slice(0, 1).toLowerCase(), isMidnight = hour === 24 && minute === 0 && second === 0;
  if (!isMidnight && (hour > 23 || minute > 59 || second > 59)) return null;
  if (half && (hour < 1 || hour > 12)) return null;
  if (half) hour = (hour % 12) + (half === "p" ? 12 : 0);
  const beyond = (groups.f || "").slice(6);
  return !nanoseconds && /[1-9]/.test(beyond) ? null : hour * 60 + minute;
}
