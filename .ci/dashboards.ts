// What a dashboard's JSON may be, by Grafana's own types.
import type { AnnotationQuery, Dashboard } from '@grafana/schema';
import type * as barGauge from '@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as gauge from '@grafana/schema/dist/types/raw/composable/gauge/panelcfg/x/GaugePanelCfg_types.gen';
import type * as heatmap from '@grafana/schema/dist/types/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeline from '@grafana/schema/dist/types/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeSeries from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON writes a member of an enum as its value.
export type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends object
      ? { [K in keyof T]: Json<T[K]> }
      : T;

// The schema's `target` is that of Grafana's own annotations; these are what the Prometheus datasource takes.
type Annotation = Json<Omit<AnnotationQuery, 'target'>> & {
  target?: { expr: string; interval: string; refId: string };
  tagKeys?: string;
  textFormat?: string;
  titleFormat?: string;
  useValueForTime?: boolean;
};

export type Whole = Json<Omit<Dashboard, 'annotations'>> & { annotations: { list: Annotation[] } };

// The options of a kind of panel, and what its series may say of how they are drawn. Nothing there: nothing may be said.
export interface Kinds {
  bargauge: { options: Json<barGauge.Options>; custom: undefined };
  gauge: { options: Json<gauge.Options>; custom: undefined };
  heatmap: { options: Json<heatmap.Options>; custom: Json<heatmap.FieldConfig> };
  'state-timeline': { options: Json<timeline.Options>; custom: Json<timeline.FieldConfig> };
  stat: { options: Json<stat.Options>; custom: undefined };
  table: { options: Json<table.Options>; custom: Json<table.FieldConfig> };
  timeseries: { options: Json<timeSeries.Options>; custom: Json<timeSeries.FieldConfig> };
}
