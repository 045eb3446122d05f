#!/bin/sh
# Makes the stores of this folder with keytool (JDK 17) and openssl 3.0. The keys are for
# tests; every password is "password" but where said.
set -e
cd "$(dirname "$0")"
rm -f *.jks *.p12 *.pem
k() { keytool "$@" 2>/dev/null; }
gen="-validity 36500 -storepass password -keyalg EC -groupname secp256r1"

# True JKS: a key with a password of its own, and its certificate authority as trusted.
k -genkeypair $gen -storetype JKS -keystore true.jks -alias broker -keypass keypassword -dname "CN=broker,O=Barnabas" -ext san=dns:localhost
k -genkeypair -validity 36500 -storepass password -keyalg RSA -keysize 2048 -storetype JKS -keystore true.jks -alias another -keypass keypassword -dname "CN=another"
k -exportcert -rfc -keystore true.jks -storepass password -alias broker > broker.cert.pem
k -importcert -noprompt -storetype JKS -keystore true.jks -storepass password -alias trusted -file broker.cert.pem
k -importcert -noprompt -storetype JKS -keystore trust.jks -storepass password -alias broker -file broker.cert.pem

# What keytool makes by default under a name that ends in .jks: PKCS#12.
k -genkeypair $gen -keystore default.jks -alias broker -dname "CN=default"
k -importcert -noprompt -keystore default.jks -storepass password -alias trusted -file broker.cert.pem
k -genkeypair $gen -keystore default.jks -alias zweiter -dname "CN=zweiter"
k -importcert -noprompt -storetype PKCS12 -keystore trust.p12 -storepass password -alias bröker -file broker.cert.pem
k -J-Dkeystore.pkcs12.legacy -genkeypair $gen -storetype PKCS12 -keystore oldjava.p12 -alias broker -dname "CN=oldjava"

# openssl: a CA, a chain of two, stores with new and old encryption, keys in PEM.
openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/CN=test ca" -keyout ca.key -out ca.cert.pem 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj "/O=Barnabas/CN=client" -keyout rsa.key.pem -out client.csr 2>/dev/null
openssl x509 -req -in client.csr -CA ca.cert.pem -CAkey ca.key -CAcreateserial -days 36500 -out client.cert.pem 2>/dev/null
cat client.cert.pem ca.cert.pem > chain.pem
openssl pkcs12 -export -inkey rsa.key.pem -in client.cert.pem -certfile ca.cert.pem -passout pass:password -name client -out openssl.p12
openssl pkcs12 -export -legacy -inkey rsa.key.pem -in client.cert.pem -certfile ca.cert.pem -passout pass:password -name client -out legacy.p12
openssl pkcs12 -export -legacy -certpbe PBE-SHA1-RC2-128 -keypbe PBE-SHA1-2DES -inkey rsa.key.pem -in client.cert.pem -passout pass:password -out legacy2.p12
openssl pkcs12 -export -inkey rsa.key.pem -in client.cert.pem -passout pass: -keypbe NONE -certpbe NONE -nomac -out bare.p12
openssl pkcs12 -export -nokeys -in ca.cert.pem -passout pass:password -out certsonly.p12
openssl pkcs8 -topk8 -in rsa.key.pem -passout pass:keypassword -out encrypted.key.pem
openssl pkcs8 -topk8 -v2 des3 -v2prf hmacWithSHA1 -in rsa.key.pem -passout pass:keypassword -out des3.key.pem
openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -in rsa.key.pem -passout pass:keypassword -out v1.key.pem
openssl rsa -traditional -in rsa.key.pem -out pkcs1.key.pem 2>/dev/null
openssl rsa -traditional -aes128 -passout pass:keypassword -in rsa.key.pem -out oldway.key.pem 2>/dev/null
cat encrypted.key.pem chain.pem > joined.pem
rm -f client.csr ca.key *.srl
