# How tests/gpu keeps what it finds and runs its steps. It sets $work, $raw (what is kept), $out (where results go), $root, $leyden,
# $tests, $total and $limiter (timeout).
# shellcheck shell=bash disable=SC2034,SC2154

# Python, in place of what may stand before it and takes its time.
reader=$("$(command -v python3 || command -v "${LEYDEN_PYTHON:-python3}")" -c 'import sys; print(sys.executable)' 2>/dev/null)
# Seconds after the start at which the last step must be over, and those at which the present group of steps must.
readonly END=$((total - (total > 30 ? 5 : 3)))
cap=$END
# Processes: the present step's, one that runs beside steps, and one that reads clocks.
child="" beside="" clocks=""
# The present step, and something where the adapter is known.
current="" settled=""

one_line() { tr '\t\r\n' '   ' | cut -c1-"${1:-400}"; }

fact() { printf '%s\t%s\n' "$1" "$(printf %s "$2" | one_line)" >>"$raw/facts.tsv"; }

# The last thing that a step said.
last_words() {
  local said
  said=$(grep -h '^test result:' "$raw/$1.out" 2>/dev/null | tail -n 1)
  for file in "$raw/$1.err" "$raw/$1.out"; do
    [[ -n $said ]] || said=$(sed $'s/\e\\[[0-9;]*m//g' "$file" 2>/dev/null | grep -v '^[[:space:]]*$' | tail -n 1)
  done
  printf %s "$said" | one_line 200
}

# A line of steps.tsv: name, what came of it, exit status, seconds, why, command.
record() {
  local name=$1 outcome=$2 status=$3 seconds=$4 why=$5 command=$6
  command=${command//"$leyden"/leyden}
  command=${command//"$work/"/}
  command=${command//"$root/"/}
  command=${command//"${tests:-$work}/"/}
  printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$outcome" "$status" "$seconds" "$why" "$command" >>"$raw/steps.tsv"
  if [[ -n $settled ]]; then printf '%4d s  %s: %s%s\n' "$SECONDS" "$name" "$outcome" "${why:+ ($why)}" >&2; fi
}

plain_summary() {
  printf '# leyden on a GPU\n\n'
  awk -F'\t' '{last[$1] = $2} END {for (key in last) printf "%s: %s  \n", key, last[key]}' "$raw/facts.tsv" | sort
  printf '\nThere is no python3 here to read the rest: it is in raw.tgz.\n\n| step | what came of it | s |\n|---|---|---|\n'
  awk -F'\t' '{gsub(/\|/, "\\|"); print "| " $1 " | " $2 ($5 == "" ? "" : ": " $5) " | " $4 " |"}' "$raw/steps.tsv"
}

# Both results, each written beside and renamed. What of runs is small is copied: everything but checkpoints.
keep() {
  local file run read=(-I -S "$root/tests/tools/gpu_summary.py" "$raw")
  fact seconds "$SECONDS"
  for run in "$work/runs"/*; do
    mkdir -p "$raw/runs/${run##*/}"
    for file in "$run"/{config.toml,kernels.json,text.json,metrics.jsonl,events.jsonl}; do
      if [[ -f $file ]]; then cp "$file" "$raw/runs/${run##*/}/"; fi
    done
  done
  for file in "$raw"/*.out "$raw"/*.err; do
    if [[ $(wc -c <"$file") -gt 1000000 ]]; then tail -c 900000 "$file" >"$work/tail" && mv "$work/tail" "$file"; fi
  done
  if [[ -z $reader ]] || ! "$reader" "${read[@]}" >"$out/.summary.md" 2>"$raw/summary.err"; then
    plain_summary >"$out/.summary.md"
  fi
  mv "$out/.summary.md" "$out/summary.md"
  tar czf "$out/.raw.tgz" -C "$work" raw 2>/dev/null
  # 1 says that a file grew meanwhile.
  if [[ $? -le 1 ]]; then mv "$out/.raw.tgz" "$out/raw.tgz"; fi
}

end_child() { if [[ -n $1 ]]; then kill "$1" 2>/dev/null && wait "$1" 2>/dev/null; fi; }

finish() {
  trap '' INT TERM HUP
  end_child "$beside"
  end_child "$clocks"
  keep
  if [[ -n $settled ]]; then cat "$out/summary.md"; fi
  rm -rf "$work"
}

stop() {
  trap '' INT TERM HUP
  end_child "$child"
  [[ -z $current ]] || record "$current" stopped "$1" $((SECONDS - began)) "the whole was stopped" "$doing"
  fact stopped "by a signal, after $SECONDS s"
  exit "$1"
}

# Seconds of so many hundredths of the time.
share() { echo $((total * $1 / 100)); }

# The next steps may take so many hundredths of the time together; without a number, all that is left.
together() {
  cap=$END
  if [[ $# = 1 && $((SECONDS + $(share "$1"))) -lt $END ]]; then cap=$((SECONDS + $(share "$1"))); fi
}

skip() { record "$1" skipped - 0 "$2" ""; }

# NAME HUNDREDTHS COMMAND...: a step that may take so much of the time, at least 5 s of it where they are left.
run() {
  local name=$1 limit status outcome why=""
  limit=$(share "$2")
  shift 2
  if ((limit < 5)); then limit=5; fi
  if ((cap - SECONDS < limit)); then limit=$((cap - SECONDS)); fi
  if ((limit < 3)); then
    skip "$name" "there was no time left$([[ $cap = "$END" ]] || echo " for this kind of step")"
    return 1
  fi
  current=$name began=$SECONDS doing=$(printf '%q ' "$@")
  doing=${doing% }
  "$limiter" -k 2 "$limit" "$@" >"$raw/$name.out" 2>"$raw/$name.err" </dev/null &
  child=$!
  # Of what was killed there is a word in the summary.
  wait "$child" 2>/dev/null
  status=$?
  child="" current=""
  case $status in
    0) outcome=passed ;;
    124 | 137)
      outcome="timed out"
      if ((status == 137 && SECONDS - began < limit)); then outcome=killed; fi
      why="after $((SECONDS - began)) s"
      ;;
    *) outcome=failed why="$(last_words "$name") (exit status $status)" ;;
  esac
  record "$name" "$outcome" "$status" $((SECONDS - began)) "$why" "$doing"
  keep
  return "$status"
}

trap finish EXIT
trap 'stop 130' INT
trap 'stop 143' TERM
trap 'stop 129' HUP
