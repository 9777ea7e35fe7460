// Package backup holds the nouns of Lifeboat: plans, runs, recovery points, restores and their reasons, with the rows in which
// they are kept. It holds the ports too: [Catalog], [Queue] and [Provider], which the adapters implement.
//
// It decides nothing, and knows neither an Azure SDK nor a protocol.
package backup
