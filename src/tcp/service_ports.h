// Ports on which services listen though programs that connect may be given them too: of IANA's registry (RFC 6335), those that are met.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace tcpwhy::tcp {

inline constexpr std::uint16_t service_ports[] = {
    1080,  1194,  1433,  1521,   // SOCKS, OpenVPN, SQL Server, Oracle
    1883,  1935,  2049,  2404,   // MQTT, RTMP, NFS, IEC 60870-5-104
    3128,  3260,  3268,  3306,   // Squid, iSCSI, LDAP global catalogue, MySQL
    3389,  4840,  5060,  5061,   // RDP, OPC UA, SIP
    5222,  5269,  5432,  5671,   // XMPP, PostgreSQL, AMQP
    5672,  5900,  5985,  5986,   // AMQP, VNC, WinRM
    6379,  6443,  6667,  8000,   // Redis, Kubernetes, IRC, HTTP
    8008,  8080,  8081,  8088,   // HTTP
    8090,  8443,  8883,  8888,   // HTTP, MQTT over TLS
    9042,  9092,  9200,  11211,  // Cassandra, Kafka, Elasticsearch, memcached
    20000, 27017, 44818,         // DNP3, MongoDB, EtherNet/IP
};
static_assert(std::ranges::is_sorted(service_ports));

// The less, the surer that who has it was asked: the well-known ports, the services above, any other.
inline int service_rank(std::uint16_t port) {
  if (port < 1024) return 0;
  return std::ranges::binary_search(service_ports, port) ? 1 : 2;
}

}  // namespace tcpwhy::tcp
