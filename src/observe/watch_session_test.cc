#include "observe/watch_session.h"

#include <gtest/gtest.h>

#include "observe/control_group.h"
#include "observe/netns.h"

namespace tcpwhy::observe {
namespace {

TEST(LifeFilter, asks_either_end_and_who_closed_it) {
  recording::SocketLife client, server;
  client.holder = {10, "curl"}, server.holder = {21, "worker"}, server.closer = {20, "nginx"};
  client.local.port = 40000, client.remote.port = 80;
  EXPECT_TRUE(LifeFilter{}.fits(client, nullptr));
  EXPECT_TRUE((LifeFilter{.pids = {10}}).fits(client, &server));
  EXPECT_TRUE((LifeFilter{.pids = {20}}).fits(client, &server));
  EXPECT_FALSE((LifeFilter{.pids = {20}}).fits(client, nullptr));
  EXPECT_TRUE((LifeFilter{.commands = {"ssh", "worker"}, .ports = {80}}).fits(client, &server));
  EXPECT_FALSE((LifeFilter{.commands = {"worker"}, .ports = {81}}).fits(client, &server));
  EXPECT_FALSE((LifeFilter{.cgroup = "/system.slice"}).fits(client, &server));
  server.in_cgroup = true;
  EXPECT_TRUE((LifeFilter{.cgroup = "/system.slice"}).fits(client, &server));
}

TEST(Netns, that_is_not_there_is_an_error_of_usage) {
  for (const char* name : {"no-such-namespace", "999999999", "/no/such/file", "/proc/self/comm"}) {
    const auto entered = enter_netns(name);
    ASSERT_FALSE(entered) << name;
    EXPECT_EQ(entered.error().kind, base::ErrorKind::usage) << name;
    EXPECT_FALSE(entered.error().hint.en.empty());
  }
}

TEST(ControlGroup, that_is_not_there_is_an_error_of_usage) {
  const auto found = find_control_group("/no/such/group");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().kind, base::ErrorKind::usage);
}

}  // namespace
}  // namespace tcpwhy::observe
