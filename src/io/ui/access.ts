// SPDX-License-Identifier: Apache-2.0
// Who may see the page: the browser that opened a link of this run, once. The history shows command lines, and every user of the
// machine can connect to a loopback port. Decision 103 has the reasons.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

const SECRET_BYTES = 32;
/** Links that were not opened. Each Enter in the terminal makes one. */
const LINKS_MAX = 16;

export class Access {
  readonly #port: number;
  /** Cookies ignore ports: the browser sends this one to no path that another program on 127.0.0.1 knows. */
  readonly base = `/${randomBytes(16).toString('base64url')}/`;
  readonly #session = secret();
  #links: string[] = [];

  constructor(port: number) {
    this.#port = port;
  }

  /** A new link. It can be opened once. */
  link(): string {
    const token = secret();
    this.#links = [...this.#links, token].slice(-LINKS_MAX);
    return `http://127.0.0.1:${this.#port}/?token=${token}`;
  }

  /** Whether the token is one of a link that was not opened before. It is spent then. */
  spend(token: string): boolean {
    const rest = this.#links.filter((link) => !isEqual(link, token));
    const found = rest.length < this.#links.length;
    this.#links = rest;
    return found;
  }

  get cookie(): string {
    return `${COOKIE}=${this.#session}; Path=${this.base}; HttpOnly; SameSite=Strict`;
  }

  hasCookie(headers: IncomingHttpHeaders): boolean {
    return cookies(headers.cookie ?? '').some((value) => isEqual(this.#session, value));
  }

  /** A page of another name, or of another port, gets nothing: neither its names rebound to 127.0.0.1, nor what it requests. */
  isForeign({ host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders, isLink: boolean): boolean {
    const own = [`127.0.0.1:${this.#port}`, `localhost:${this.#port}`];
    if (host === undefined || !own.includes(host)) return true;
    if (origin !== undefined && origin !== `http://${host}`) return true;
    // A link may be followed from anywhere: only who knows its token gets an answer.
    return !isLink && site !== undefined && site !== 'same-origin' && site !== 'none';
  }
}

const COOKIE = 'whodunit-ui';

function secret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

function cookies(header: string): string[] {
  return header.split(/; */).flatMap((pair) => (pair.startsWith(`${COOKIE}=`) ? [pair.slice(COOKIE.length + 1)] : []));
}

/** In a time that depends on neither value: hashes have one length, and what differs in them says nothing. */
function isEqual(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
