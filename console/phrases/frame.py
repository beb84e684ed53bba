"""What the command line's frame says of a wrong call or a wrong setting, in English and in Chinese. Data only."""

from typing import Final

PHRASES: Final = {
    "Invalid value: {}": "{}",
    "Invalid value for {}: {}": "{} 不可用：{}",
    "Missing option {}.": "缺少选项 {}",
    "Missing argument {}.": "缺少参数 {}",
    "Missing command.": "缺少命令",
    "Got unexpected extra argument(s) ({})": "多出的参数：{}",
    "No such command {}.": "没有命令 {}",
    "No such command {}. Did you mean {}?": "没有命令 {}，是否应为 {}？",
    "No such option: {}": "没有选项 {}",
    "No such option: {} Did you mean {}?": "没有选项 {}，是否应为 {}？",
    "No such option: {} (Possible options: {})": "没有选项 {}，是否应为 {}？",
    "Option {} requires an argument.": "选项 {} 后面须有值",
    "Option {} requires {} arguments.": "选项 {} 后面须有 {} 个值",
    "Option {} does not take a value.": "选项 {} 不带值",
    "Value error, {}": "{}",
    "Assertion failed, {}": "{}",
    "{} is not one of {}.": "没有 {}；可用：{}",
    "Value {} is not a valid {}.": "{} 的类型不对，须为 {}",
    "File {} does not exist.": "文件 {} 不存在",
    "Directory {} does not exist.": "文件夹 {} 不存在",
    "Path {} does not exist.": "路径 {} 不存在",
    "File {} is a directory.": "{} 是文件夹，须为文件",
    "Directory {} is a file.": "{} 是文件，须为文件夹",
    "Path {} is a directory.": "{} 是文件夹，须为文件",
    "File {} is not readable.": "文件 {} 不可读",
    "Directory {} is not readable.": "文件夹 {} 不可读",
    "Path {} is not readable.": "路径 {} 不可读",
    "File {} is not writable.": "文件 {} 不可写",
    "Directory {} is not writable.": "文件夹 {} 不可写",
    "Path {} is not writable.": "路径 {} 不可写",
    "Input should be greater than or equal to {}": "须不小于 {}",
    "Input should be greater than {}": "须大于 {}",
    "Input should be less than or equal to {}": "须不大于 {}",
    "Input should be less than {}": "须小于 {}",
    "Input should be a finite number": "须为有限的数",
    "Input should be a valid integer, {}": "须为整数",
    "Input should be a valid number, {}": "须为数字",
    "Input should be a valid boolean, {}": "须为 true 或 false",
    "Input should be a valid datetime or date, {}": "须为时间，例如 2026-11-01T08:00",
    "Input should be a valid datetime, {}": "须为时间，例如 2026-11-01T08:00",
    "Input should be {}": "只能是 {}",
    # settings
    "{}: {}": "{}：{}",
    "set {} to a valid value, or unset it": "把 {} 设为可用的值，或者取消设置",
    "see docs/operations.md": "见 docs/operations.md",
    "must be host:port, or several of them with commas between": "须为 主机:端口，多个之间用逗号",
    "must be lower case letters and digits, with single dots, dashes or underscores between": (
        "须为小写字母和数字，中间可有单个的点、减号或下划线"
    ),
    "must begin with http:// or https://": "须以 http:// 或 https:// 开头",
    "MEDPOST_KAFKA_SECURITY and its like are for a broker of your own: set MEDPOST_KAFKA, or unset them": (
        "MEDPOST_KAFKA_SECURITY 等只用于自备的 broker：同时设置 MEDPOST_KAFKA，或者取消它们"
    ),
    "MEDPOST_KAFKA_SECURITY={} needs MEDPOST_KAFKA_USER and MEDPOST_KAFKA_PASSWORD": (
        "MEDPOST_KAFKA_SECURITY={} 还须设置 MEDPOST_KAFKA_USER 和 MEDPOST_KAFKA_PASSWORD"
    ),
    "MEDPOST_KAFKA_USER and _PASSWORD need MEDPOST_KAFKA_SECURITY=sasl_ssl (or sasl_plaintext)": (
        "设了 MEDPOST_KAFKA_USER 和 _PASSWORD，还须设置 MEDPOST_KAFKA_SECURITY=sasl_ssl（或 sasl_plaintext）"
    ),
    "{} need MEDPOST_KAFKA_SECURITY=ssl or sasl_ssl": "设了 {}，还须设置 MEDPOST_KAFKA_SECURITY=ssl 或 sasl_ssl",
    "MEDPOST_KAFKA_CERTIFICATE and MEDPOST_KAFKA_KEY go together": (
        "MEDPOST_KAFKA_CERTIFICATE 与 MEDPOST_KAFKA_KEY 须同时设置"
    ),
    "MEDPOST_CLICKHOUSE_USER and its like need MEDPOST_CLICKHOUSE": (
        "设了 MEDPOST_CLICKHOUSE_USER 等，还须设置 MEDPOST_CLICKHOUSE"
    ),
    "the user stands in MEDPOST_CLICKHOUSE and in MEDPOST_CLICKHOUSE_USER: keep one": (
        "用户名同时写在 MEDPOST_CLICKHOUSE 和 MEDPOST_CLICKHOUSE_USER：只留一处"
    ),
    "MEDPOST_CLICKHOUSE_PASSWORD needs MEDPOST_CLICKHOUSE_USER": (
        "设了 MEDPOST_CLICKHOUSE_PASSWORD，还须设置 MEDPOST_CLICKHOUSE_USER"
    ),
    "MEDPOST_CLICKHOUSE_CA needs an https:// address in MEDPOST_CLICKHOUSE": (
        "设了 MEDPOST_CLICKHOUSE_CA，MEDPOST_CLICKHOUSE 须为 https:// 地址"
    ),
    "there is no file {}": "没有文件 {}",
    # what the system says of a file or a socket
    "Permission denied": "没有权限",
    "No such file or directory": "没有这个文件或文件夹",
    "Is a directory": "是文件夹，须为文件",
    "Not a directory": "不是文件夹",
    "No space left on device": "磁盘已满",
    "Read-only file system": "文件系统只读",
    "Address already in use": "已被占用",
    "Too many open files": "打开的文件太多",
}
