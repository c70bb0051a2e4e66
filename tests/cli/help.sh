# Every command's help, as a user reads it.
tamis --help
commands=$(tamis --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
for command in $commands; do
    echo "----"
    tamis "$command" --help || echo "exit $?"
done
echo "----"
tamis prune --pattern nonsense --help | head -1
