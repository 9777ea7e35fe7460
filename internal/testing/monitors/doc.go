// Package monitors tests the files for monitors, docs/lifeboat.rules.yml and docs/lifeboat.dashboard.json, by the engines that load
// them: Prometheus 3's, which is linked into the tests, and the promtool of Debian. It is a module of its own, since Prometheus needs
// 100 other modules. make rules runs it.
package monitors
