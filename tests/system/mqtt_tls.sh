#!/bin/sh
# A device behind a broker that wants TLS and a password: in service with the right settings, and a clear word
# for each wrong one.
# shellcheck source=tests/system/lib_honed.sh
. "$(dirname "$0")/lib_honed.sh"
broker=$(PATH=$PATH:/usr/sbin command -v mosquitto) || skip "no broker: scripts/setup test installs mosquitto"
command -v openssl >/dev/null || skip "no openssl: scripts/setup test installs it"
echo "$master" >"$dir/master.key"

quiet() { "$@" >"$dir/openssl.log" 2>&1 || { cat "$dir/openssl.log"; fail "$*"; }; }
authority() { # NAME
	quiet openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$1" \
		-keyout "$dir/$1.key" -out "$dir/$1.pem"
}
certificate() { # NAME OF: signed by plant
	quiet openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
		-keyout "$dir/$1.key" -out "$dir/$1.csr"
	echo "subjectAltName=$2" >"$dir/$1.ext"
	quiet openssl x509 -req -in "$dir/$1.csr" -CA "$dir/plant.pem" -CAkey "$dir/plant.key" -CAcreateserial \
		-days 2 -extfile "$dir/$1.ext" -out "$dir/$1.pem"
}
authority plant
authority stranger
certificate here IP:127.0.0.1
certificate elsewhere DNS:broker.elsewhere
certificate gateway DNS:gateway
free_port; plain=$port
free_port; named=$port
free_port; misnamed=$port
free_port; mutual=$port
secured() { # PORT CERTIFICATE
	printf 'listener %s 127.0.0.1\ncertfile %s\nkeyfile %s\n' "$1" "$dir/$2.pem" "$dir/$2.key"
}
{
	printf 'user root\nper_listener_settings true\n'
	printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$plain"
	secured "$named" here
	printf 'allow_anonymous false\npassword_file %s\n' "$dir/passwords"
	secured "$misnamed" elsewhere
	printf 'allow_anonymous true\n'
	secured "$mutual" here
	printf 'allow_anonymous true\ncafile %s\nrequire_certificate true\n' "$dir/plant.pem"
} >"$dir/broker.conf"
mosquitto_passwd -c -b "$dir/passwords" honed secret
launch "$dir/broker.log" "$broker" -c "$dir/broker.conf"
answers_broker() { mosquitto_pub -h 127.0.0.1 -p "$plain" -t probe -m x; }
wait_for 5 "broker" answers_broker
sim 1 --link "mqtt:127.0.0.1:$plain/honed/00000000000000a1"

# with PORT SETTINGS: honed with these at the source
with() {
	conf_head >"$conf"
	cat >>"$conf" <<YAML
sources:
  - {name: pump-1, type: link, port: "mqtt:127.0.0.1:$1", qos: 1, $2}
streams:
  - name: vib-1
    source: pump-1
    period: 2.5ms
    channels:
$(conf_channels)
models:
  - name: pump
    streams: [vib-1]
    task: classify
    classes: [off, normal, cavitation, bearing]
    window: 32
    network: "dense 32, relu, dense 16, relu, dense 4"
    policy: {mode: manual}
devices:
  - {name: pump-1, uid: "00000000000000a1", source: pump-1, stream: vib-1, model: pump}
YAML
	: >"$log"
}
works() { # WHAT PORT SETTINGS
	with "$2" "$3"
	start
	wait_for 15 "pump-1 with $1" online 1
	got=$(frames vib-1)
	wait_for 10 "frames with $1" eval "[ \$(frames vib-1) -gt $((got + 100)) ]"
	stop
	echo "$1: works"
}
says() { # WORD PORT SETTINGS
	with "$2" "$3"
	start
	wait_for 10 "word '$1'" has "$log" "$1"
	expect_equal "state of pump-1, $1" "$(device 1 online)" false
	stop
	grep -m 1 -F "$1" "$log"
}
login="user: honed, password: secret"
works "TLS, user and password" "$named" "ca_file: $dir/plant.pem, $login"
works "TLS 1.3" "$named" "ca_file: $dir/plant.pem, tls_min: \"1.3\", $login"
works "a certificate of ours" "$mutual" \
	"ca_file: $dir/plant.pem, cert_file: $dir/gateway.pem, key_file: $dir/gateway.key"
works "any name" "$misnamed" "ca_file: $dir/plant.pem, tls_any_name: true"
says "not signed by ca_file" "$named" "ca_file: $dir/stranger.pem, $login"
says "not signed by ca_file" "$misnamed" "ca_file: $dir/stranger.pem, tls_any_name: true"
says "for another name or address" "$misnamed" "ca_file: $dir/plant.pem"
says "not authorised" "$named" "ca_file: $dir/plant.pem, user: honed, password: wrong"
says "is TLS spoken on this port" "$plain" "ca_file: $dir/plant.pem"
says "a certificate of ours" "$mutual" "ca_file: $dir/plant.pem"

# what cannot work is said at the start
refused() { # WORD SETTINGS
	with "$named" "$2"
	code=0
	timeout 10 "$build/honed" --config "$conf" >>"$log" 2>&1 || code=$?
	case $code in 0 | 124) fail "honed began with: $2" ;; esac
	expect_text "$log" "$1"
}
refused "No such file" "ca_file: $dir/nothing.pem"
refused "belong together" "ca_file: $dir/plant.pem, cert_file: $dir/gateway.pem"
refused "set ca_file, too" "cert_file: $dir/gateway.pem, key_file: $dir/gateway.key"
