# A page to show to others, from the CSV of a factory: six sensors, one row a minute.
# Usage: factory.sh factory.csv
set -e
temporal-jepa pretrain --data "$1" --window 60 --steps 20 --out runs/factory
temporal-jepa report runs/factory
