// The roles of a ledger of an old preview besides.
using '../grants/roles.bicep'

param before20260223 = true
