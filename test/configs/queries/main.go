// Command queries checks queries with Loki's parser and dashboards with Grafana's schema. Standard input: one JSON object
// {"logql": [query…], "dashboards": [JSON text…]}. Standard output, in the same order: {"logql": [{"error", "names"}…],
// "dashboards": [error…]}. It is a separate module, so that the module of the loader stays small.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/loki/v3/pkg/logql/log"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

type input struct {
	LogQL      []string          `json:"logql"`
	Dashboards []json.RawMessage `json:"dashboards"`
}

// parsed is the result for one query. Error is empty if the query is valid. Names are the labels that it filters, groups and unwraps by.
type parsed struct {
	Error string   `json:"error"`
	Names []string `json:"names"`
}

type output struct {
	LogQL      []parsed `json:"logql"`
	Dashboards []string `json:"dashboards"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "queries:", err)
		os.Exit(1)
	}
}

func run() error {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return fmt.Errorf("read the queries: %w", err)
	}
	plugins.RegisterDefaultPlugins()
	out := output{LogQL: []parsed{}, Dashboards: []string{}}
	for _, query := range in.LogQL {
		out.LogQL = append(out.LogQL, parse(query))
	}
	for _, text := range in.Dashboards {
		out.Dashboards = append(out.Dashboards, checkDashboard(text))
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func parse(query string) parsed {
	expr, err := syntax.ParseExpr(query)
	if err != nil {
		return parsed{Error: err.Error()}
	}
	names := map[string]bool{}
	expr.Walk(func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.MatchersExpr:
			for _, matcher := range e.Mts {
				names[matcher.Name] = true
			}
		case *syntax.LabelFilterExpr:
			for _, name := range filtered(e.LabelFilterer) {
				names[name] = true
			}
		case *syntax.VectorAggregationExpr:
			if e.Grouping != nil {
				for _, name := range e.Grouping.Groups {
					names[name] = true
				}
			}
		case *syntax.LogRangeExpr:
			if e.Unwrap != nil {
				names[e.Unwrap.Identifier] = true
			}
		}
		return true
	})
	found := make([]string, 0, len(names))
	for name := range names {
		found = append(found, name)
	}
	slices.Sort(found)
	return parsed{Names: found}
}

func filtered(filter log.LabelFilterer) []string {
	return filter.RequiredLabelNames()
}

// checkDashboard returns an empty string if Grafana's schema has every field, with the right type.
func checkDashboard(text json.RawMessage) string {
	var board dashboard.Dashboard
	if err := board.UnmarshalJSONStrict(text); err != nil {
		return err.Error()
	}
	if err := board.Validate(); err != nil {
		return err.Error()
	}
	return ""
}
