// The sidebar's icon: four engines whose lanes become one.

import { take } from './shared.js';

const { LabIcon } = await take('@jupyterlab/ui-components');

const svgstr = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 64 64">
  <g class="jp-icon3" fill="none" stroke="#616161" stroke-width="5" stroke-linecap="round">
    <path d="M9 9 H24 C38 9 36 32 50 32"/>
    <path d="M9 24.3 H22 C34 24.3 36 32 50 32"/>
    <path d="M9 39.7 H22 C34 39.7 36 32 50 32"/>
    <path d="M9 55 H24 C38 55 36 32 50 32"/>
  </g>
  <g class="jp-icon3" fill="#616161">
    <circle cx="9" cy="9" r="5.5"/>
    <circle cx="9" cy="24.3" r="5.5"/>
    <circle cx="9" cy="39.7" r="5.5"/>
    <circle cx="9" cy="55" r="5.5"/>
    <circle cx="52" cy="32" r="9.5"/>
  </g>
</svg>`;

export const icon = new LabIcon({ name: 'parallel-python:clusters', svgstr });
