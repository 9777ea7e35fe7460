// Types of parameters that several files share.

@description('Names and values.')
@export()
type textMap = {
  @description('A name, and its value.')
  *: string
}

@description('A container for backups, and who writes to it.')
@export()
type containerType = {
  @description('The name of the container.')
  @minLength(3)
  @maxLength(63)
  name: string

  @description('The object IDs of the identities of the services that write to it.')
  writers: string[]
}

@description('Instances that run before anything calls them.')
@export()
type readyType = {
  @description('http, or function: and the name of a function.')
  name: string

  @description('How many.')
  instanceCount: int
}

@description('A role of roles.json.')
@export()
type roleType = {
  @description('Its name.')
  name: string

  @description('The ID of a role of Azure; a role of ours has none.')
  id: string?

  @description('True: it is of the service\'s own access control, which no template reaches.')
  local: bool?

  @description('True: Azure may not know its actions any more, and would refuse it. So it is made where it is asked for.')
  onDemand: bool?

  @description('Its actions on resources, if it is one of ours.')
  actions: string[]?

  @description('Its actions on data, if it is one of ours.')
  dataActions: string[]?
}

@description('The roles of roles.json, by their names.')
@export()
type rolesType = {
  @description('A name, and its role.')
  *: roleType
}

@description('A rule of alerts.json.')
@export()
type alertType = {
  @description('The end of its name.')
  name: string

  @description('Its title.')
  title: string

  @description('What it means, and the first thing to do.')
  description: string

  @description('The file of its page in docs/runbooks.')
  runbook: string

  @description('From 1, an error, to 3, a note.')
  severity: int

  @description('The query of its page, without the time filter.')
  query: string

  @description('How the number of rows compares with the threshold, when it fires.')
  operator: 'GreaterThan' | 'LessThan'

  @description('That number of rows.')
  threshold: int

  @description('Whether the alert ends by itself: of a state it does, of an event it does not.')
  autoMitigate: bool

  @description('Each value of these columns has an alert of its own.')
  dimensions: string[]
}
