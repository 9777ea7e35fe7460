package config_test

import (
	"strings"
	"testing"

	"lifeboat/internal/config"
)

// TestCheckEnvironment checks the words about settings that have not got their values, in the order of their names.
func TestCheckEnvironment(t *testing.T) {
	const (
		unresolved = " that Azure has not resolved: the app's environment variables in the Azure portal say why; mostly the identity for " +
			"references lacks a role there, or the network keeps it out"
		empty = "the app setting AzureWebJobsStorage is an empty text, which the Functions host takes for a connection string: remove the " +
			"setting, and set AzureWebJobsStorage__accountName instead"
	)
	for _, c := range []struct{ environ, want string }{
		{"", ""},
		{"LIFEBOAT_PLAN=plan.yaml AzureWebJobsStorage=UseDevelopmentStorage=true", ""},
		{"AzureWebJobsStorage__accountName=contoso LIFEBOAT_STOPPED=", ""},
		{"OTHER=@Microsoft.KeyVault(SecretUri=https://x.vault.azure.net/secrets/y) AzureWebJobsStorage2=", ""},
		{"AzureWebJobsStorage= LIFEBOAT_PLAN=plan.yaml", empty},
		{"LIFEBOAT_PLAN=@Microsoft.KeyVault(VaultName=v;SecretName=s)", "the app setting LIFEBOAT_PLAN is a reference to Key Vault" + unresolved},
		{"AzureWebJobsStorage=@microsoft.keyvault(SecretUri=https://x", "the app setting AzureWebJobsStorage is a reference to Key Vault" + unresolved},
		{
			"LIFEBOAT_STOPPED=@Microsoft.AppConfiguration(Endpoint=https://x;Key=y) AzureWebJobsStorage__clientId=@Microsoft.KeyVault(x)",
			"the app setting AzureWebJobsStorage__clientId is a reference to Key Vault" + unresolved + "\n" +
				"the app setting LIFEBOAT_STOPPED is a reference to App Configuration" + unresolved,
		},
	} {
		err := config.CheckEnvironment(strings.Fields(c.environ))
		if err == nil && c.want != "" || err != nil && err.Error() != c.want {
			t.Errorf("%s: %v, want %q", c.environ, err, c.want)
		}
	}
}
