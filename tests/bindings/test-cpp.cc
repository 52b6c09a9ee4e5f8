// SPDX-License-Identifier: MIT
//
// peal.hpp between two processes: this program, and itself as the guest. Counts as the C tests do.
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if __has_include(<ranges>)
#	include <ranges>
#endif
#if __has_include(<span>)
#	include <span>
#endif

#include <peal/peal.hpp>

namespace
{

unsigned int failures;

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			std::printf("%s:%d: %s: %s\n", __FILE__, __LINE__, __func__, #what);       \
			failures++;                                                                \
		}                                                                                  \
	} while (0)

struct point {
	double x, y;
};

template <class T, class = void> constexpr bool has_bytes = false;
template <class T>
constexpr bool has_bytes<T, std::void_t<decltype(peal::bytes_of(std::declval<T &>()))>> = true;

static_assert(has_bytes<point> && has_bytes<point[2]> && has_bytes<std::vector<point>>);
static_assert(has_bytes<char *> && has_bytes<std::vector<std::array<int, 2>>>);
static_assert(!has_bytes<point *> && !has_bytes<unsigned char *> && !has_bytes<void *>);
static_assert(!has_bytes<std::nullptr_t> && !has_bytes<int point::*> && !has_bytes<char *[2]>);
static_assert(!has_bytes<std::vector<point *>> && !has_bytes<std::vector<std::string_view>>);
static_assert(!has_bytes<std::vector<std::string>> && !has_bytes<std::array<peal::bytes, 2>>);
static_assert(!has_bytes<peal_record> && !has_bytes<std::vector<peal::record>>);

// Echoes; a record of type 9 lets it abort.
int guest(peal::channel channel)
{
	for (;;) {
		auto records = channel.rx().take(peal::forever);
		bool any = false;

		for (peal::record record : records) {
			any = true;
			if (record.type() == 9)
				std::abort();
			if (channel.tx().send(record.bytes(), record.type(), peal::forever))
				return 2;
		}
		if (!any)
			return records.error() == std::errc::broken_pipe ? 0 : 3;
	}
}

// A thread that is cancelled in a wait unwinds, which noexcept would end the process for.
static_assert(!noexcept(std::declval<peal::producer>().send({}, 0, peal::forever)));
static_assert(!noexcept(std::declval<peal::producer>().reserve(0, peal::forever)));
static_assert(!noexcept(std::declval<peal::consumer>().take(peal::forever)));
static_assert(!noexcept(peal::taken(nullptr, peal::forever)));
static_assert(!noexcept(std::declval<peal::consumer>().next(peal::forever)));
static_assert(!noexcept(std::declval<peal::consumer>().receive({}, peal::forever)));
static_assert(!noexcept(std::declval<peal::child>().wait(peal::forever)));
static_assert(!noexcept(std::declval<peal::channel>().wait_ready(std::declval<peal::child &>(),
								 peal::forever)));
static_assert(!noexcept(std::declval<peal::poller>().wait({}, peal::forever)));

static_assert(std::is_convertible_v<std::vector<std::byte> &, peal::bytes>);
static_assert(!std::is_convertible_v<std::vector<std::byte>, peal::bytes>);
static_assert(!std::is_convertible_v<const std::vector<std::byte> &, peal::bytes>);
static_assert(std::is_convertible_v<std::vector<std::byte>, peal::const_bytes>);
static_assert(std::is_convertible_v<peal::bytes, peal::const_bytes>);
#ifdef __cpp_lib_span
static_assert(std::is_convertible_v<std::span<std::byte>, peal::bytes>);
#endif

static_assert(std::is_default_constructible_v<peal::taken::iterator>);
#ifdef __cpp_lib_ranges
static_assert(std::ranges::input_range<peal::taken>);
#endif

struct pair {
	peal::channel channel;
	peal::child child;
};

std::string program;

pair start()
{
	peal::channel_options options;

	options.to_guest = options.to_host = 65536;
	auto channel = peal::channel::create(options);
	if (!channel) {
		std::printf("%s\n", peal_last_error());
		std::exit(1);
	}
	auto child = channel->spawn({program});

	CHECK(!channel->wait_ready(*child, peal::forever));
	return {std::move(*channel), std::move(*child)};
}

void records_come_back()
{
	pair host = start();
	const point sent{1.5, -2};

	CHECK(!host.channel.tx().send(peal::bytes_of(sent), 1, peal::forever));
	CHECK(!host.channel.tx().send(peal::bytes_of("hello"), 2, peal::forever));
	CHECK(!host.channel.tx().send(peal::bytes_of(std::vector<int>{1, 2, 3}), 3, peal::forever));

	auto first = host.channel.rx().next(peal::forever);
	CHECK(first && first->type() == 1);
	CHECK(first->as<point>() && first->as<point>()->y == -2);
	CHECK(!first->as<int>());
	auto second = host.channel.rx().next(peal::forever);
	CHECK(second && second->text() == "hello");
	CHECK(!host.channel.rx().release_to(*first));
	CHECK(!host.channel.rx().release());

	std::vector<std::byte> buffer(100);
	auto third = host.channel.rx().receive(buffer, std::chrono::minutes(5));
	CHECK(third && third->size == 3 * sizeof(int) && third->type == 3);
}

bool holds(peal::const_bytes bytes, std::string_view text)
{
	return std::string_view(reinterpret_cast<const char *>(bytes.data()), bytes.size()) == text;
}

void bytes_are_those_of_what_is_pointed_at()
{
	char text[8] = "hello", full[3] = {'a', 'b', 'c'};
	char *pointer = text;
	const char *constant = text;
	unsigned char raw[4] = {'a', 0, 'c', 0};
	std::string string("a\0b", 3);
	const peal_record plain{text, 5, 0, 0};
	int numbers[] = {1, 2, 3};

	CHECK(holds(peal::bytes_of(pointer), "hello"));
	CHECK(holds(peal::bytes_of(constant), "hello"));
	CHECK(holds(peal::bytes_of(text), "hello"));
	CHECK(holds(peal::bytes_of("hello"), "hello"));
	CHECK(holds(peal::bytes_of(full), "abc"));
	CHECK(holds(peal::bytes_of(raw), std::string_view("a\0c\0", 4)));
	CHECK(holds(peal::bytes_of(peal::view{text, 8}), std::string_view("hello\0\0\0", 8)));
	CHECK(holds(peal::bytes_of(string), std::string_view("a\0b", 3)));
	CHECK(holds(peal::bytes_of(std::string_view(string)), std::string_view("a\0b", 3)));
	CHECK(holds(peal::bytes_of(peal::bytes_of(string)), std::string_view("a\0b", 3)));
	CHECK(holds(peal::bytes_of(peal::record(plain)), "hello"));
	CHECK(peal::bytes_of(peal::view{numbers, 2}).size() == 2 * sizeof(int));
	CHECK(peal::bytes_of(std::array<int, 3>{}).size() == 3 * sizeof(int));
	CHECK(peal::bytes_of(numbers).size() == sizeof(numbers));
#ifdef __cpp_lib_span
	CHECK(peal::bytes_of(std::span(numbers)).size() == sizeof(numbers));
	CHECK(peal::bytes_of(std::span(numbers)).data() == reinterpret_cast<std::byte *>(numbers));
#endif
}

void deadlines_neither_wrap_nor_overflow()
{
	using namespace std::chrono;
	const std::uint64_t years = peal_now_ns() + 100ull * 365 * 86400 * 1000000000;
	const double inf = std::numeric_limits<double>::infinity();

	for (nanoseconds ns : {nanoseconds(0), nanoseconds(-1), nanoseconds::min()})
		CHECK(peal::deadline(steady_clock::time_point(ns)).ns() == 1);
	CHECK(peal::deadline(steady_clock::time_point(nanoseconds(7))).ns() == 7);
	for (peal::deadline far :
	     {peal::deadline(milliseconds(1ll << 60)), peal::deadline(seconds(1ll << 55)),
	      peal::deadline(hours(1ll << 53)), peal::deadline(seconds::max()),
	      peal::deadline(duration<double>(inf))})
		CHECK(far.ns() > years);
	CHECK(peal::deadline(duration<double>(inf - inf)).ns() == PEAL_TRY);
	CHECK(peal::deadline(milliseconds(-1)).ns() == PEAL_TRY);
	CHECK(peal::deadline(milliseconds(5)).ns() > peal_now_ns());
}

void a_reservation_is_committed_once()
{
	pair host = start();
	auto room = host.channel.tx().reserve(8, peal::forever);

	CHECK(room && !room->commit(8));
	CHECK(room->commit(8) == std::errc::invalid_argument);
	CHECK(room->stage(8) == std::errc::invalid_argument);
}

void a_range_releases_what_it_gave()
{
	pair host = start();
	unsigned int seen = 0;

	for (unsigned int i = 0; i < 100000; i++) {
		CHECK(!host.channel.tx().send(peal::bytes_of(i), 0, peal::forever));
		for (peal::record record : host.channel.rx().take(peal::try_once))
			CHECK(record.as<unsigned int>() == seen++);
	}
	while (seen < 100000)
		for (peal::record record : host.channel.rx().take(peal::forever))
			CHECK(record.as<unsigned int>() == seen++);
}

void what_is_not_committed_is_given_up()
{
	pair host = start();

	{
		auto given_up = host.channel.tx().reserve(100);
		CHECK(given_up && given_up->bytes().size() == 100);
	}
	auto too_much = host.channel.tx().reserve(8);
	CHECK(too_much->commit(9) == std::errc::invalid_argument);
	auto staged = host.channel.tx().reserve(4, peal::forever);
	staged->bytes()[0] = std::byte{7};
	CHECK(!staged->stage(1, 5));
	CHECK(!host.channel.tx().publish());
	auto only = host.channel.rx().next(peal::forever);
	CHECK(only && only->type() == 5 && only->bytes().size() == 1);
	CHECK(only->bytes()[0] == std::byte{7});
}

void errors_are_values()
{
	peal::channel_options none;
	auto impossible = peal::channel::create(none);
	pair host = start();

	CHECK(!impossible && impossible.error() == std::errc::invalid_argument);
	CHECK(impossible.error().category() == peal::category());
	CHECK(peal::last_error().find("a channel without a ring") != std::string_view::npos);
	CHECK(host.channel.rx().next().error() == std::errc::resource_unavailable_try_again);
	CHECK(host.channel.rx().next(std::chrono::milliseconds(1)).error() == std::errc::timed_out);
	CHECK(host.channel.tx().reserve(1 << 20).error() == std::errc::message_size);
	CHECK(peal::error_of(-EPROTO).message() == peal_strerror(-EPROTO));
}

void a_crash_is_an_end_with_a_reason()
{
	pair host = start();
	peal_child_status status{};

	CHECK(!host.channel.tx().send({}, 9, peal::forever));
	CHECK(host.channel.rx().next(peal::forever).error() == std::errc::broken_pipe);
	auto ended = host.child.wait(peal::forever);
	CHECK(ended);
	status = *ended;
	CHECK(status.state == PEAL_CHILD_KILLED && status.value == SIGABRT);
	CHECK(host.child.describe().find("killed by signal") != std::string::npos);
	CHECK(host.channel.peer() == PEAL_PEER_DEAD);
}

void a_poller_waits_for_data_room_and_the_end()
{
	auto poller = peal::poller::create();
	pair host = start();
	auto data = poller->watch_data(host.channel, &host);
	auto end = poller->watch_child(host.child, nullptr);
	std::vector<peal_event> events(4);

	CHECK(data && end);
	CHECK(!host.channel.tx().send(peal::bytes_of("x"), 0, peal::forever));
	auto count = poller->wait(events, peal::forever);
	CHECK(count && *count == 1 && events[0].user == &host && events[0].kind == PEAL_EVENT_DATA);
	CHECK(!host.channel.rx().take(peal::try_once).error());
	CHECK(!poller->wake());
	count = poller->wait(events, peal::forever);
	CHECK(count && *count == 1 && events[0].kind == PEAL_EVENT_WAKE);
	CHECK(poller->wait(events, peal::try_once).error() ==
	      std::errc::resource_unavailable_try_again);
	CHECK(!host.child.kill(SIGKILL));
	for (bool ended = false; !ended;) {
		count = poller->wait(events, peal::forever);
		for (std::size_t i = 0; count && i < *count; i++)
			ended |= events[i].kind == PEAL_EVENT_CHILD;
		(void)host.channel.rx().next();
	}
}

} // namespace

int main(int argc, char **argv)
{
	void (*const cases[])() = {
		records_come_back,
		bytes_are_those_of_what_is_pointed_at,
		deadlines_neither_wrap_nor_overflow,
		a_reservation_is_committed_once,
		a_range_releases_what_it_gave,
		what_is_not_committed_is_given_up,
		errors_are_values,
		a_crash_is_an_end_with_a_reason,
		a_poller_waits_for_data_room_and_the_end,
	};
	unsigned int passed = 0, failed = 0;

	if (auto channel = peal::channel::attach(argc, argv))
		return guest(std::move(*channel));
	program = argv[0];
	for (auto run : cases) {
		failures = 0;
		run();
		(failures ? failed : passed)++;
	}
	if (const char *tally = std::getenv("PEAL_TALLY")) {
		std::FILE *file = std::fopen(tally, "a");

		std::fprintf(file, "%u %u 0\n", passed, failed);
		std::fclose(file);
	}
	std::printf("cpp: %u passed, %u failed\n", passed, failed);
	return failed != 0;
}
