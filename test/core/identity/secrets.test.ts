// SPDX-License-Identifier: Apache-2.0
// Realistic command lines, each with a secret that must be redacted, and ordinary ones that must not change. The secrets are made up; their
// forms are from the vendors' documentation.
import { describe, expect, it } from 'vitest';
import { redactArguments } from '../../../src/core/identity/redact.ts';

/** A made-up secret: `prefix`, then `length` letters and digits. */
const made = (prefix: string, length: number): string => prefix + 'x9Kf2mQ7'.repeat(12).slice(0, length);
const S = 'hunter2Geheim';

/** Splits a command line at spaces; `·` stands for a space within an argument. */
const split = (line: string): string[] => line.split(' ').map((word) => word.replaceAll('·', ' '));
const line = (text: string): [string, string[], string] => [
  text.replaceAll(S, '…').replaceAll('·', ' '),
  split(text),
  S,
];

const WRITTEN: [string, string[], string][] = [
  // Databases.
  line(`mysql -uroot -p${S} shop`),
  line(`mysqldump --user=root --password=${S} shop`),
  line(`mariadb --password ${S}`),
  line(`psql host=db·user=me·password=${S}·dbname=shop`),
  line(`psql postgresql://me:${S}@db/shop`),
  line(`pg_dump --dbname=postgresql://me:${S}@db/shop`),
  line(`mongosh mongodb+srv://me:${S}@cluster0.example.net/shop`),
  line(`mongodump -u me -p ${S}`),
  line(`redis-cli -h cache -a ${S} ping`),
  line(`redis-cli -u redis://:${S}@cache:6379/0`),
  line(`redis-server --requirepass ${S}`),
  line(`sqlplus scott/${S}@orcl`),
  line(`sqlcmd -S db -U sa -P ${S}`),
  line(`bcp shop.dbo.t out t.csv -U sa -P${S}`),
  line(`influx --username me --password ${S}`),
  line(`clickhouse-client --user default --password ${S}`),
  line(`cqlsh -u me -p ${S} db`),
  // HTTP.
  line(`curl -u me:${S} https://example.com`),
  line(`curl --user me:${S} https://example.com`),
  line(`curl --proxy-user me:${S} https://example.com`),
  line(`curl -ume:${S} https://example.com`),
  line(`curl https://me:${S}@example.com`),
  ['curl -H Authorization: Bearer …', ['curl', '-H', `Authorization: Bearer ${S}`], S],
  ['curl --header=Authorization:Basic …', ['curl', `--header=Authorization: Basic ${S}`], S],
  ['curl -H X-Vault-Token', ['curl', '-H', `X-Vault-Token: ${S}`], S],
  ['curl -H Cookie', ['curl', '-H', `Cookie: session=${S}; theme=dark`], S],
  ['curl -H Private-Token', ['curl', '-H', `PRIVATE-TOKEN: ${S}`], S],
  ['curl -d JSON', ['curl', '-d', `{"grant_type":"x","client_secret":"${S}"}`], S],
  ['curl -d form', ['curl', '-d', `user=me&password=${S}`], S],
  ['JSON, quoted for a shell', ['sh', '-c', `curl -d "{\\"password\\":\\"${S}\\"}" https://x`], S],
  line(`wget --http-user=me --http-password=${S} https://x`),
  line(`http --auth me:${S} https://x`),
  line(`http -a me:${S} https://x`),
  line(`ab -A me:${S} https://x/`),
  line(`curl https://bucket.s3.amazonaws.com/a?X-Amz-Credential=A&X-Amz-Signature=${S}`),
  line(`curl https://a.blob.core.windows.net/b?sv=1&sig=${S}`),
  // Containers, clusters, clouds.
  line(`docker login -u me -p ${S} registry.example.com`),
  line(`docker run -e POSTGRES_PASSWORD=${S} postgres`),
  line(`docker run --env=AWS_SECRET_ACCESS_KEY=${S} app`),
  line(`kubectl create secret generic db --from-literal=password=${S}`),
  line(`kubectl config set-credentials me --token=${S}`),
  line(`helm upgrade shop ./chart --set db.password=${S}`),
  line(`helm upgrade shop ./chart --set=db.password=${S},db.user=me`),
  line(`oc login --token=sha256~${S}`),
  line(`terraform apply -var db_password=${S}`),
  line(`terraform apply -var=db_password=${S}`),
  line(`aws configure set aws_secret_access_key ${S}`),
  line(`az login --service-principal -u app -p ${S} --tenant t`),
  [
    'Azure storage',
    ['azcopy', `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=${S}==;EndpointSuffix=core`],
    S,
  ],
  ['Azure service bus', ['app', `Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=${S}`], S],
  ['ADO.NET', ['app', `Server=db;User Id=sa;Password=${S};`], S],
  ['ADO.NET, short', ['app', `Server=db;Uid=sa;Pwd=${S};`], S],
  line(`npm config set //registry.example.com/:_authToken ${S}`),
  line(`npm publish --//registry.example.com/:_authToken=${S}`),
  line(`git clone https://oauth2:${S}@git.example.com/a.git`),
  ['git -c http.extraheader', ['git', '-c', `http.extraheader=AUTHORIZATION: basic ${S}`, 'fetch'], S],
  line(`ansible-playbook site.yml -e ansible_become_password=${S}`),
  line(`vault kv put secret/app password=${S}`),
  line(`sentry-cli --auth-token ${S} releases list`),
  // Java.
  line(`java -Djavax.net.ssl.keyStorePassword=${S} -jar a.jar`),
  line(`java -Dspring.datasource.password=${S} -jar a.jar`),
  line(`java -jar a.jar --spring.datasource.password=${S}`),
  line(`keytool -list -storepass ${S}`),
  line(`jarsigner -keypass ${S} a.jar me`),
  // Mail, directories, networks, files.
  line(`ldapsearch -D cn=admin -w ${S} -b dc=x`),
  line(`smbclient //host/share -U me%${S}`),
  line(`mount -t cifs //h/s /m -o username=me,password=${S}`),
  line(`sshpass -p ${S} ssh host`),
  line(`sshpass -p${S} ssh host`),
  line(`lftp -u me,${S} ftp.example.com`),
  line(`ipmitool -H bmc -U admin -P ${S} power status`),
  line(`snmpwalk -v3 -u me -A ${S} host`),
  line(`snmpget -v2c -c ${S} host oid`),
  line(`mosquitto_pub -u me -P ${S} -t a -m b`),
  line(`xfreerdp /v:host /u:me /p:${S}`),
  line(`nmcli device wifi connect home password ${S}`),
  line(`wpa_passphrase home ${S}`),
  line(`htpasswd -b .htpasswd me ${S}`),
  line(`htpasswd -nbB me ${S}`),
  line(`openssl enc -aes-256-cbc -k ${S} -in a`),
  line(`openssl rsa -passin pass:${S} -in key.pem`),
  line(`openssl pkcs12 -export -passout pass:${S}`),
  line(`gpg --batch --passphrase ${S} -d a.gpg`),
  line(`zip -P ${S} a.zip a`),
  line(`7z x -p${S} a.7z`),
  line(`restic --password-command echo·${S} snapshots`),
  line(`rclone copy a b --sftp-pass ${S}`),
  line(`useradd -p ${S} me`),
  ['a script', ['bash', '-c', `export PGPASSWORD='${S}'; psql -h db`], S],
  ['a script with a command', ['bash', '-c', `mysql -uroot -p${S} shop < a.sql`], S],
  ['a script with curl', ['bash', '-c', `curl -s -u me:${S} https://x | jq .`], S],
  ['celery', ['celery', '-A', 'app', `--broker=amqp://me:${S}@mq//`, 'worker'], S],
  ['gunicorn', ['gunicorn', '--env', `DJANGO_SECRET_KEY=${S}`, 'app'], S],
];

const BY_FORM: [string, string][] = [
  ['AWS access key', made('AKIA', 16).toUpperCase()],
  ['GitHub', made('ghp_', 36)],
  ['GitHub, fine-grained', made('github_pat_', 82)],
  ['GitLab', made('glpat-', 20)],
  ['GitLab runner', made('glrt-', 20)],
  ['Slack', `xoxb-123456789012-123456789012-${made('', 24)}`],
  ['Slack webhook', `https://hooks.slack.com/services/T0123ABCD/B0123ABCD/${made('', 24)}`],
  ['Discord webhook', `https://discord.com/api/webhooks/123456789012345678/${made('', 68)}`],
  ['Stripe', made('sk_live_', 24)],
  ['Stripe webhook', made('whsec_', 32)],
  ['OpenAI', made('sk-proj-', 48)],
  ['Google API', made('AIza', 35)],
  ['Google OAuth', made('ya29.', 60)],
  ['SendGrid', `SG.${made('', 22)}.${made('', 43)}`],
  ['npm', made('npm_', 36)],
  ['PyPI', made('pypi-AgEIcHlwaS5vcmc', 60)],
  ['Docker Hub', made('dckr_pat_', 27)],
  ['Hugging Face', made('hf_', 34)],
  ['HashiCorp Vault', made('hvs.', 90)],
  ['Terraform Cloud', `${made('', 14)}.atlasv1.${made('', 60)}`],
  ['DigitalOcean', made('dop_v1_', 64)],
  ['Databricks', `dapi${'0123456789abcdef'.repeat(2)}`],
  ['Grafana', made('glsa_', 32)],
  ['New Relic', made('NRAK-', 27).toUpperCase()],
  ['Telegram', `123456789:AA${made('', 33)}`],
  ['Shopify', `shpat_${'0123456789abcdef'.repeat(2)}`],
  ['age', made('AGE-SECRET-KEY-1', 58).toUpperCase()],
  ['JSON web token', `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.${made('', 43)}`],
  ['RSA key', `-----BEGIN RSA PRIVATE KEY-----\n${made('MII', 60)}\n-----END RSA PRIVATE KEY-----`],
  ['OpenSSH key', `-----BEGIN OPENSSH PRIVATE KEY-----\n${made('b3B', 60)}`],
  ['PGP key', `-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n${made('lQO', 60)}`],
];

const ORDINARY: string[] = [
  'sleep 100',
  'nginx -g daemon·off;',
  'postgres -D /var/lib/postgresql/17/main -c config_file=/etc/postgresql.conf',
  'java -Xmx512m -XX:+UseG1GC -cp /opt/app/author-service.jar com.example.TokenizerMain',
  'python3 -m http.server --bind 127.0.0.1 8000',
  'node --max-old-space-size=4096 server.js --port 8080',
  'docker run -u 1000:1000 -p 8080:80 nginx',
  'ssh -p 2222 me@host uptime',
  'git commit --author=me -m passes',
  'curl -s -o /dev/null https://example.com/path?page=2',
  'kubectl get secret my-tls -o yaml',
  'grep -r password /etc',
  'tar -czf backup.tar.gz /srv/tokens',
  'find . -name *.ts -print',
  'mkdir -p /var/lib/app',
  'rsync -av --delete a/ host:b/',
  'mysql --host=db --user=root shop',
];

describe('a secret is redacted', () => {
  it.each(WRITTEN)('%s', (_, args, secret) => {
    expect(redactArguments(args).join(' ')).not.toContain(secret);
  });

  it.each(BY_FORM)('by its form: %s', (_, secret) => {
    const tail = secret.trim().slice(-12);
    for (const args of [
      ['app', secret],
      ['app', '--x', secret],
      ['sh', '-c', `deploy ${secret} now`],
      ['app', `--x=${secret}`],
    ])
      expect(redactArguments(args).join(' ')).not.toContain(tail);
  });
});

describe('other text is kept', () => {
  it.each(ORDINARY)('%s', (text) => {
    expect(redactArguments(split(text))).toEqual(split(text));
  });

  it('the program, its options and its target stay readable', () => {
    expect(redactArguments(['curl', '-s', '-u', `me:${S}`, 'https://example.com'])).toEqual([
      'curl',
      '-s',
      '-u',
      '[REDACTED]',
      'https://example.com',
    ]);
    expect(redactArguments(['psql', `postgresql://me:${S}@db/shop`])).toEqual([
      'psql',
      'postgresql://me:[REDACTED]@db/shop',
    ]);
  });
});
