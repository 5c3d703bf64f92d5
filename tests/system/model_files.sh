#!/bin/sh
# A version goes out as .onnx and .tflite, float and int8; a file becomes the first version of another model, answers
# as well as the one it came from, and does not replace that one; a file that is none fails its job with a reason.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
model_more="$model_more
    gate: {gain_min: 0.01}"
first_version
refused() { # CODE TEXT ARGUMENT...
	want=$1 text=$2 rc=0
	shift 2
	ctl "$@" >"$dir/out" 2>&1 || rc=$?
	[ $rc -eq "$want" ] || { cat "$dir/out"; fail "honectl $*: exit $rc, not $want"; }
	expect_text "$dir/out" "$text"
}

for form in float.onnx float.tflite int8.onnx int8.tflite; do
	int8=
	[ "${form%.*}" = float ] || int8=--int8
	ctl model export pump:1 -o "$dir/$form" $int8 >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no export as $form"; }
	expect_text "$dir/out" "${form%.*}"
	expect_at_least "bytes of $form" "$(wc -c <"$dir/$form")" 3000
done
[ "$(dd if="$dir/int8.tflite" bs=1 skip=4 count=4 2>/dev/null)" = TFL3 ] || fail "not a .tflite file"
refused 3 "no such version" model export pump:9 -o "$dir/none.onnx"
refused 3 "no model" model export other -o "$dir/none.onnx"
refused 2 "is no format" model export pump -o "$dir/none.pt"
refused 2 "-o FILE" model export pump

# two more models without a version; a model is added by a restart
stop
for name in copy small; do
	cat <<YAML
  - name: $name
    streams: [bench]
    task: classify
    classes: [off, normal, cavitation, bearing]
    window: 32
    network: "dense 32, relu, dense 16, relu, dense 4"
    policy: {mode: manual}
YAML
done >"$dir/more.yaml"
awk -v more="$dir/more.yaml" '/^devices:/ { while ((getline line < more) > 0) print line } { print }' "$conf" >"$dir/next.yaml"
cp "$dir/next.yaml" "$conf"
start

mark=$(newest)
ctl model import "$dir/float.onnx" --name copy --wait --reason "from elsewhere" >"$dir/out" 2>&1 ||
	{ cat "$dir/out"; fail "no import of .onnx"; }
ctl model import "$dir/int8.tflite" --name small --wait >"$dir/out" 2>&1 || { cat "$dir/out"; fail "no import of .tflite"; }
until_event 5 "$mark" '.kind == "promoted" and .model == "copy"'
echo "$event"
expect_equal "reason" "$(echo "$event" | jq -r .reason)" "imported as the first version of the model"
for name in copy small; do
	ctl_json model $name >"$dir/$name.json"
	expect_equal "network of $name" "$(jq -r '.versions[0].why' "$dir/$name.json")" imported
	windows=$(jq '.champion.report.windows.holdout' "$dir/$name.json")
	right=$(jq '.champion.report.int8_right' "$dir/$name.json")
	expect_at_least "windows that $name is right on, of $windows" "$((right * 100))" $((windows * 90))
	echo "$name: $right of $windows windows right"
done

# the same net again changes nothing: it is not better than itself
rc=0
ctl model import "$dir/float.tflite" --name pump --wait >"$dir/out" 2>&1 || rc=$?
expect_equal "exit code of an import that is not better" $rc 5
expect_equal "champion" "$(ctl_json model pump | jq '.champion.number')" 1

# files that are none, or do not fit
echo "this is no net" >"$dir/junk.onnx"
refused 1 "neither .tflite nor .onnx" model import "$dir/junk.onnx" --name pump --wait
head -c 2000 "$dir/float.onnx" >"$dir/cut.onnx"
refused 1 "import:" model import "$dir/cut.onnx" --name pump --wait
head -c 5000000 /dev/zero >"$dir/large.onnx"
refused 1 "above 4 MB" model import "$dir/large.onnx" --name pump
refused 3 "no model 'other'" model import "$dir/float.onnx" --name other
refused 1 "No such file" model import "$dir/none.onnx" --name pump
left=$(find "$dir" -name 'honed.db-import-*')
[ -z "$left" ] || fail "a file of an import is left: $left"
stop
