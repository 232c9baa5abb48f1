# A pipeline of the shell: train, search, and pick fields of the answers with jq.
# Usage: shell.sh data.csv
set -e
temporal-jepa inspect "$1" --json | jq -e '.series > 10 and .missing == 0' > /dev/null
run=$(temporal-jepa pretrain --data "$1" --steps 5 --out runs/shell --json | jq -r .run)
temporal-jepa probe "$run" --json | jq -r '.scores[] | [.features, .accuracy] | @tsv' > scores.tsv
temporal-jepa nearest "$run" s0 --json | jq -r '.neighbors[].nearest' > neighbors.txt
if temporal-jepa inspect missing.csv --json > error.json; then exit 1; fi
jq -r .error error.json
