. "$(dirname "$0")/zz-common.bash"
case_ $C campaign $C ${FAULT_HOW}
tail -n +1 "$WORK/output" | head -50
