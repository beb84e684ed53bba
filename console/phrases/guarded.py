"""What is in the way of a guarded broker or store: certificates, logins, rights. Data only."""

from typing import Final

PHRASES: Final = {
    "the broker": "Kafka 服务",
    "the store": "存储",
    "the broker at {} refuses the login of {} by {}": "{0} 的 broker 拒绝用户 {1} 以 {2} 登录",
    "check MEDPOST_KAFKA_USER, MEDPOST_KAFKA_PASSWORD and MEDPOST_KAFKA_MECHANISM": (
        "检查 MEDPOST_KAFKA_USER、MEDPOST_KAFKA_PASSWORD 和 MEDPOST_KAFKA_MECHANISM"
    ),
    "the broker at {} speaks TLS": "{} 的 broker 使用 TLS",
    "set MEDPOST_KAFKA_SECURITY=ssl or sasl_ssl": "设 MEDPOST_KAFKA_SECURITY=ssl 或 sasl_ssl",
    "{} at {} asks for a certificate of ours, or does not take it": "{1}（{0}）要求客户端证书，或不接受所给的证书",
    "{} at {} fails in TLS: {}": "{1}（{0}）TLS 失败：{2}",
    "{} at {} does not speak TLS on that port": "{1}（{0}）在这个端口不使用 TLS",
    "{} at {} has a certificate that has expired": "{1}（{0}）的证书已过期",
    "{} at {} has a certificate that is not valid yet": "{1}（{0}）的证书尚未生效",
    "{} at {} has a certificate for other names than {}": "{1}（{0}）的证书上没有名字 {2}",
    "{} at {} has a certificate that no authority in {} signed": "{1}（{0}）的证书不是 {2} 中的机构签发的",
    "{} at {} has a certificate that no authority known here signed": "{1}（{0}）的证书不是本机所知的机构签发的",
    "{} at {} has a certificate that is refused: {}": "{1}（{0}）的证书不被接受：{2}",
    "set {}": "设置 {}",
    "see that server's log": "查看那台服务器的日志",
    "another port in {}, or {}": "在 {} 中改用别的端口，或者 {}",
    "have it renewed there, or set the clock here": "在那边更新证书，或者校准本机时钟",
    "write the certificate's name into {}": "在 {} 中写证书上的名字",
    "set {} to the authorities that did": "把 {} 设为签发它的机构的证书",
    "set {} to the PEM file of one that did": "把 {} 设为签发机构的 PEM 文件",
    "have it issued anew": "请重新签发证书",
    "{}: {} holds no certificate ({})": "{}：{} 中没有证书（{}）",
    "give the authorities as a PEM file": "给出签发机构的 PEM 文件",
    "MEDPOST_KAFKA_CERTIFICATE and _KEY are no PEM pair that can be used ({})": (
        "MEDPOST_KAFKA_CERTIFICATE 与 _KEY 不是可用的一对 PEM（{}）"
    ),
    "give a certificate and its own key, without a passphrase": "给出证书和它自己的密钥，不带口令",
    "the store at {} speaks TLS": "{} 的存储使用 TLS",
    "write https:// in MEDPOST_CLICKHOUSE": "在 MEDPOST_CLICKHOUSE 中写 https://",
    "check MEDPOST_CLICKHOUSE_USER and MEDPOST_CLICKHOUSE_PASSWORD (or those in MEDPOST_CLICKHOUSE)": (
        "检查 MEDPOST_CLICKHOUSE_USER 和 MEDPOST_CLICKHOUSE_PASSWORD（或 MEDPOST_CLICKHOUSE 中的用户和密码）"
    ),
    "the store at {} lets this user only read": "{} 的存储只让这个用户读",
    "give the platform a user that may write and set settings; analysts have their own": (
        "给平台一个可以写、可以改设置的用户；分析员另有账号"
    ),
    "client quotas: {}": "客户端配额：{}",
    "client quotas: accepted, but not in force yet": "客户端配额：已收下，但尚未生效",
    "look with `registry diff`": "用 `medpost registry diff` 查看",
    "give the user the right DescribeConfigs on the cluster": "给这个用户授予集群的 DescribeConfigs 权限",
    "port {}: {}": "端口 {}：{}",
    "set MEDPOST_BOUNCES_PORT": "设置 MEDPOST_BOUNCES_PORT",
}
