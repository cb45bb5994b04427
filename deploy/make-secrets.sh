#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, once: what is there already stays as it is.
set -eu
folder=$(dirname "$0")/secrets
mkdir -p "$folder"
# Nobody else gets into the folder. The files in it can be read by the users of the containers, who are none of this machine's.
chmod 700 "$folder"
random() { head -c 24 /dev/urandom | base64 | tr -d '/+=\n'; }
keep() { # NAME VALUE
  [ -e "$folder/$1" ] && return
  printf '%s' "$2" >"$folder/$1"
  chmod 444 "$folder/$1"
  echo "made $folder/$1"
}
keep mongo_password "$(random)"
keep mongo_url "mongodb://raylog:$(cat "$folder/mongo_password")@mongo:27017/?authSource=admin"
keep s3_access_key "$(random)"
keep s3_secret_key "$(random)"
