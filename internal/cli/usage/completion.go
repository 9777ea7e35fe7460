package usage

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// shells are the shells whose completion can be printed.
var shells = map[string]func(root *cobra.Command) error{
	"bash":       bashCompletion,
	"zsh":        func(root *cobra.Command) error { return root.GenZshCompletion(root.OutOrStdout()) },
	"fish":       func(root *cobra.Command) error { return root.GenFishCompletion(root.OutOrStdout(), true) },
	"powershell": func(root *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(root.OutOrStdout()) },
}

// bareBash makes cobra's script work without the package bash-completion, which not every machine has: there the script would print
// an error at every Tab.
const bareBash = `
if ! declare -F _get_comp_words_by_ref >/dev/null; then
    __lifeboat_init_completion() {
        COMPREPLY=()
        cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
    }
fi
`

func bashCompletion(root *cobra.Command) error {
	if err := root.GenBashCompletionV2(root.OutOrStdout(), true); err != nil {
		return err
	}
	_, err := io.WriteString(root.OutOrStdout(), bareBash)
	return err
}

// CompletionCommand returns the command that prints the completion of a shell.
func CompletionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Prints a script that completes lifeboat's commands in a shell",
		Long: `Prints a script that completes commands, flags, targets and IDs in a shell.

It asks the app for targets and IDs, if LIFEBOAT_URL and LIFEBOAT_KEY are set.
If the app does not answer within two seconds, it completes none.

Put the line of your shell into the file that it reads when it starts:
~/.bashrc, ~/.zshrc (after compinit), ~/.config/fish/config.fish, or $PROFILE.

  bash        source <(lifeboat completion bash)
  zsh         source <(lifeboat completion zsh)
  fish        lifeboat completion fish | source
  powershell  lifeboat completion powershell | Out-String | Invoke-Expression`,
		Example: "  lifeboat completion bash\n  lifeboat completion zsh",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 || shells[args[0]] == nil {
				return Misuse(c, "it wants one of bash, zsh, fish and powershell")
			}
			return nil
		},
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE:      func(c *cobra.Command, args []string) error { return shells[args[0]](c.Root()) },
	}
}

// HelpCommand is cobra's own, but an unknown command is an error.
func HelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND...]",
		Short:   "Shows the help of a command",
		Example: "  lifeboat help plan check",
		RunE: func(c *cobra.Command, args []string) error {
			about := c.Root()
			for _, word := range args {
				next, _, err := about.Find([]string{word})
				if err != nil || next == about {
					return unknown(about, word)
				}
				about = next
			}
			return about.Help()
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			about, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, one := range about.Commands() {
				if one.IsAvailableCommand() && strings.HasPrefix(one.Name(), typed) {
					names = append(names, one.Name()+"\t"+one.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
