// What outlives a reload: texts in this tab's own storage, and never a token.

export function kept(key) {
  return sessionStorage.getItem(key) ?? "";
}

/** Keep a text under a key; "" keeps nothing. */
export function keep(key, text) {
  try {
    if (text) sessionStorage.setItem(key, text);
    else sessionStorage.removeItem(key);
  } catch {
    // The storage is full or closed: then the text lives as long as the page does.
  }
}
