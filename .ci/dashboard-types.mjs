// Writes a dashboard as TypeScript that compiles only when the dashboard is of Grafana's schema.
import { readFileSync } from 'node:fs';

const text = readFileSync(process.argv[2], 'utf8');
const lines = ["import type { Kinds, Whole } from './dashboards';", `export const whole: Whole = ${text.trim()};`];
for (const panel of JSON.parse(text).panels.filter((panel) => panel.type !== 'row')) {
  const kind = `Kinds[${JSON.stringify(panel.type)}]`;
  const custom = JSON.stringify(panel.fieldConfig?.defaults.custom);
  lines.push(`// ${panel.title}`);
  lines.push(`export const options${panel.id}: ${kind}['options'] = ${JSON.stringify(panel.options, null, 2)};`);
  lines.push(`export const custom${panel.id}: ${kind}['custom'] = ${custom};`);
}
console.log(lines.join('\n'));
