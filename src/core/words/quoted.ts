// SPDX-License-Identifier: Apache-2.0
// Quotes around what a process chose, where it could be read as a part of our own text: `web (pid 1) was killed by root; x`.

/** What separates the parts of a sentence or a line, more words than names have, or what looks like nothing. Not `(sd-pam)`. */
const READS_AS_SENTENCE = /^(?!\([\w-]+\)$).*(?:[()`"←;,·]|\S\s+\S+\s+\S+\s+\S)|^\s|\s$/s;
/** Texts have many words: only what names a process, or separates facts. */
const NAMES_A_PROCESS = /\(pid \d|[←·]|\b(?:sent|asked for|stopped) by\b/;

/** A name, or the path of a cgroup. */
export function quotedName(name: string): string {
  return READS_AS_SENTENCE.test(name) ? JSON.stringify(name) : name;
}

/** A command line, a function, a message. */
export function quotedText(text: string): string {
  return NAMES_A_PROCESS.test(text) ? JSON.stringify(text) : text;
}

/** `web.service · web-1`: what is known of the parts. */
export function joined(parts: readonly (string | null)[]): string {
  return parts
    .filter((part) => part !== null)
    .map((part) => (part.includes('·') ? JSON.stringify(part) : part))
    .join(' · ');
}
