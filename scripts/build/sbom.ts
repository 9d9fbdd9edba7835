// SPDX-License-Identifier: Apache-2.0
// What is inside a package, as CycloneDX: npm lists its packages, cyclonedx-gomod reads the Go modules from the loader, and Node.js is asked
// for its own parts.
import { Failure } from '../base/command.ts';
import { run } from '../base/run.ts';
import type { Part } from './contents.ts';
import { buildGoTool } from './go-tools.ts';

const SPECIFICATION = '1.5';
/** Versions of interfaces in process.versions, not of parts. */
const NOT_PARTS: ReadonlySet<string> = new Set(['node', 'modules', 'napi']);

/** What is used of a component of CycloneDX. */
interface Component {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
}

export interface Inside {
  readonly version: string;
  /** Seconds since 1970. */
  readonly date: number;
  readonly npm: readonly Part[];
  readonly loaders: readonly string[];
  /** null: there is no Node.js inside. */
  readonly node: NodeInside | null;
}

export interface NodeInside {
  /** As npm names it. */
  readonly arch: string;
  readonly version: string;
}

/** Returns the text of the file. */
export async function sbom({ version, date, npm, loaders, node }: Inside): Promise<string> {
  const modules = (await Promise.all(loaders.map(goComponents))).flat();
  const components = [
    ...(await npmComponents(npm)),
    ...new Map(modules.map((module) => [module.purl, module])).values(),
    ...(node === null ? [] : [nodeComponent(node)]),
  ];
  const component = { type: 'application', name: 'whodunit', version, purl: `pkg:generic/whodunit@${version}` };
  const metadata = { timestamp: new Date(date * 1000).toISOString(), component };
  const head = { bomFormat: 'CycloneDX', specVersion: SPECIFICATION, version: 1 };
  return `${JSON.stringify({ ...head, metadata, components }, null, 2)}\n`;
}

async function npmComponents(parts: readonly Part[]): Promise<Component[]> {
  const locked = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
  const { components }: { components: Component[] } = JSON.parse(await run('npm', locked));
  return parts.map(({ name, version }) => {
    const found = components.find(({ purl }) => decodeURIComponent(purl) === `pkg:npm/${name}@${version}`);
    if (found === undefined) throw new Failure(`\`npm ${locked.join(' ')}\` does not list ${name} ${version}.`);
    return found;
  });
}

async function goComponents(loader: string): Promise<Component[]> {
  const flags = ['-json', '-std', '-noserial', '-notimestamp', '-short-purls', '-output-version', SPECIFICATION];
  const text = await run(await buildGoTool('cyclonedx-gomod'), ['bin', ...flags, '-output', '-', loader]);
  return JSON.parse(text.slice(text.indexOf('{'))).components;
}

/** The Node.js that runs this is the same version. */
function nodeComponent({ arch, version }: NodeInside): Component & { readonly components: readonly Component[] } {
  const parts = Object.entries(process.versions).filter(([name]) => !NOT_PARTS.has(name));
  return {
    type: 'application',
    ...{ name: 'node', version, purl: `pkg:npm/node-linux-${arch}@${version}` },
    ...{ cpe: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*` },
    components: parts.map(([name, its = '']) => ({
      ...{ type: 'library', name, version: its, purl: `pkg:generic/${name}@${its}` },
    })),
  };
}
