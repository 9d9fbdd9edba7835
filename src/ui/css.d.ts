// SPDX-License-Identifier: Apache-2.0
// esbuild bundles style sheets that a module imports.
declare module '*.css' {}
