// SPDX-License-Identifier: MIT
//
// peal.hpp - Peal for C++17: handles that clean up, records as views, errors as std::error_code.
//
//	peal::channel_options options;
//	options.to_guest = options.to_host = 1 << 20;
//	auto channel = peal::channel::create(options);	// a value, or an error: if (!channel) …
//	auto child = channel->spawn({"./plugin"});
//	channel->tx().send(peal::bytes_of(request), 1, peal::forever);
//	for (peal::record answer : channel->rx().take(peal::forever))
//		use(answer.bytes());			// released when the loop is left
//
// Header-only, over peal/peal.h, whose contracts hold: threads, blocking, what happens when the peer
// is dead or hostile. Nothing here throws, but for std::string and std::vector, which may lack memory.
// What the C functions say of an error stays in peal::last_error().
// What takes a deadline is a cancellation point, hence not noexcept.
#ifndef PEAL_PEAL_HPP
#define PEAL_PEAL_HPP

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <peal/peal.h>

namespace peal
{

// --- Errors ---------------------------------------------------------------------------------------

class error_category final : public std::error_category
{
      public:
	const char *name() const noexcept override
	{
		return "peal";
	}
	std::string message(int error) const override
	{
		return peal_strerror(error);
	}
	// So that `code == std::errc::broken_pipe` holds.
	std::error_condition default_error_condition(int error) const noexcept override
	{
		return {error, std::generic_category()};
	}
};

inline const std::error_category &category() noexcept
{
	static const error_category instance;
	return instance;
}

// Of what a C function returned: a negative errno is an error, all else is none.
inline std::error_code error_of(std::int64_t rc) noexcept
{
	return rc < 0 ? std::error_code(static_cast<int>(-rc), category()) : std::error_code();
}

// The sentence behind this thread's last failure.
inline std::string_view last_error() noexcept
{
	return peal_last_error();
}

// A value, or why there is none.
template <class T> class [[nodiscard]] result
{
      public:
	result(T value) : value_(std::move(value))
	{
	}
	result(std::error_code error) noexcept : error_(error)
	{
	}

	explicit operator bool() const noexcept
	{
		return value_.has_value();
	}
	std::error_code error() const noexcept
	{
		return error_;
	}

	// Only where there is one.
	T &operator*() &noexcept
	{
		return *value_;
	}
	const T &operator*() const &noexcept
	{
		return *value_;
	}
	T &&operator*() &&noexcept
	{
		return *std::move(value_);
	}
	T *operator->() noexcept
	{
		return &*value_;
	}
	const T *operator->() const noexcept
	{
		return &*value_;
	}

      private:
	std::optional<T> value_;
	std::error_code error_;
};

// --- Deadlines ------------------------------------------------------------------------------------

// A point of std::chrono::steady_clock, which is CLOCK_MONOTONIC here.
class deadline
{
      public:
	constexpr explicit deadline(std::uint64_t ns) noexcept : ns_(ns)
	{
	}
	deadline(std::chrono::steady_clock::time_point at) noexcept
	    : ns_(at.time_since_epoch().count() <= 0
			  ? 1 // passed, and neither PEAL_TRY nor what an unsigned number makes of it
			  : static_cast<std::uint64_t>(
				    std::chrono::nanoseconds(at.time_since_epoch()).count()))
	{
	}
	// So long from now.
	template <class Rep, class Period>
	deadline(std::chrono::duration<Rep, Period> from_now) noexcept
	    : ns_(in_ns(std::chrono::duration<long double, std::nano>(from_now).count()))
	{
	}
	constexpr std::uint64_t ns() const noexcept
	{
		return ns_;
	}

      private:
	// Whatever is longer than a century or two is the longest that there is; NaN is no time at all.
	static std::uint64_t in_ns(long double ns) noexcept
	{
		if (!(ns > 0))
			return PEAL_TRY;
		return peal_deadline_in_ns(ns < 9e18L ? static_cast<std::uint64_t>(ns)
						      : std::uint64_t{9000000000000000000});
	}

	std::uint64_t ns_;
};

inline constexpr deadline forever{PEAL_FOREVER};
inline constexpr deadline try_once{PEAL_TRY};

// --- Views ----------------------------------------------------------------------------------------

// What std::span is from C++20 on: a place and a length, owning nothing.
template <class T> class view
{
      public:
	constexpr view() noexcept = default;
	constexpr view(T *data, std::size_t size) noexcept : data_(data), size_(size)
	{
	}
	// Of any container that has data() and size(), of T's; and view<T> as view<const T>. A
	// temporary that owns its elements is none to write to: it is asked as a const one.
	template <class Container,
		  class = std::enable_if_t<std::is_convertible_v<
			  std::remove_pointer_t<
				  decltype(std::declval<const Container &>().data())> (*)[],
			  T (*)[]>>>
	constexpr view(Container &&from) noexcept : data_(from.data()), size_(from.size())
	{
	}

	constexpr T *data() const noexcept
	{
		return data_;
	}
	constexpr std::size_t size() const noexcept
	{
		return size_;
	}
	constexpr bool empty() const noexcept
	{
		return size_ == 0;
	}
	constexpr T *begin() const noexcept
	{
		return data_;
	}
	constexpr T *end() const noexcept
	{
		return data_ + size_;
	}
	constexpr T &operator[](std::size_t at) const noexcept
	{
		return data_[at];
	}

      private:
	T *data_ = nullptr;
	std::size_t size_ = 0;
};

using const_bytes = view<const std::byte>;
using bytes = view<std::byte>;

class record;

namespace detail
{

template <class T, class = void> struct has_elements : std::false_type {
};
template <class T>
struct has_elements<
	T, std::enable_if_t<
		   std::is_pointer_v<decltype(std::declval<const T &>().data())> &&
		   std::is_convertible_v<decltype(std::declval<const T &>().size()), std::size_t>>>
    : std::true_type {
};

// Not what only points at its bytes. Nobody can see inside of a struct, though.
template <class T>
struct is_plain : std::bool_constant<std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> &&
				     !std::is_member_pointer_v<T> && !std::is_null_pointer_v<T> &&
				     !has_elements<T>::value> {
};
template <class T, std::size_t N> struct is_plain<T[N]> : is_plain<T> {
};
template <class T, std::size_t N> struct is_plain<std::array<T, N>> : is_plain<T> {
};
template <> struct is_plain<record> : std::false_type {
};
template <> struct is_plain<peal_record> : std::false_type {
};

template <class T>
inline constexpr bool is_text =
	std::is_convertible_v<const T &, std::string_view> && !std::is_null_pointer_v<T>;

template <class T> constexpr bool has_bytes() noexcept
{
	if constexpr (is_text<T>)
		return true;
	else if constexpr (has_elements<T>::value)
		return is_plain<std::remove_cv_t<
			std::remove_pointer_t<decltype(std::declval<const T &>().data())>>>::value;
	else
		return is_plain<T>::value;
}

} // namespace detail

// The bytes of a text, up to its NUL; of the elements of what has data() and size(); of a plain
// object. No pointer has any but char *, which is a text. So is an array of char, which may lack the
// NUL; one that holds something else is view{array, size}.
template <class T, class = std::enable_if_t<detail::has_bytes<T>()>>
const_bytes bytes_of(const T &object) noexcept
{
	if constexpr (std::is_array_v<T> && detail::is_text<T>) {
		const std::string_view all(object, std::extent_v<T>);

		return bytes_of(all.substr(0, all.find('\0')));
	} else if constexpr (detail::is_text<T>) {
		const std::string_view text = object;

		return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
	} else if constexpr (detail::has_elements<T>::value) {
		return {reinterpret_cast<const std::byte *>(object.data()),
			object.size() * sizeof(*object.data())};
	} else {
		return {reinterpret_cast<const std::byte *>(&object), sizeof(object)};
	}
}

// --- Producing ------------------------------------------------------------------------------------

// Memory in the ring for one record. Given up when it is neither committed nor staged.
class reservation
{
      public:
	reservation(peal_producer *tx, void *payload, std::size_t size) noexcept
	    : tx_(tx), payload_(static_cast<std::byte *>(payload)), size_(size)
	{
	}
	reservation(reservation &&from) noexcept
	    : tx_(std::exchange(from.tx_, nullptr)), payload_(from.payload_), size_(from.size_)
	{
	}
	reservation &operator=(reservation &&) = delete;
	~reservation()
	{
		if (tx_)
			peal_abort(tx_);
	}

	peal::bytes bytes() const noexcept
	{
		return {payload_, size_};
	}

	// Publish it, with its real size. After an error of waking the consumer it is published too.
	std::error_code commit(std::size_t size, std::uint16_t type = 0) noexcept
	{
		return finish(tx_ ? peal_commit(tx_, size, type) : -EINVAL);
	}
	// Publish it together with later ones.
	std::error_code stage(std::size_t size, std::uint16_t type = 0) noexcept
	{
		return finish(tx_ ? peal_stage(tx_, size, type) : -EINVAL);
	}

      private:
	// What was not finished is given up in the end: more than was reserved, say.
	std::error_code finish(int rc) noexcept
	{
		if (rc == 0)
			tx_ = nullptr;
		return error_of(rc);
	}

	peal_producer *tx_;
	std::byte *payload_;
	std::size_t size_;
};

// This side's producer; lives in the channel. Without such a ring it is empty, and must not be used.
class producer
{
      public:
	explicit producer(peal_producer *tx) noexcept : tx_(tx)
	{
	}
	explicit operator bool() const noexcept
	{
		return tx_;
	}
	peal_producer *get() const noexcept
	{
		return tx_;
	}

	std::error_code send(const_bytes data, std::uint16_t type, deadline until)
	{
		return error_of(peal_send(tx_, data.data(), data.size(), type, until.ns()));
	}
	// Without a wait: resource_unavailable_try_again when there is no room.
	result<reservation> reserve(std::size_t size) noexcept
	{
		void *payload = nullptr;
		int rc = peal_reserve(tx_, size, &payload);

		return reserved(rc, payload, size);
	}
	result<reservation> reserve(std::size_t size, deadline until)
	{
		void *payload = nullptr;
		int rc = peal_reserve_wait(tx_, size, &payload, until.ns());

		return reserved(rc, payload, size);
	}
	std::error_code publish() noexcept
	{
		return error_of(peal_publish(tx_));
	}
	std::size_t record_max() const noexcept
	{
		return peal_record_max(tx_);
	}

      private:
	result<reservation> reserved(int rc, void *payload, std::size_t size) noexcept
	{
		if (rc < 0)
			return error_of(rc);
		return reservation(tx_, payload, size);
	}

	peal_producer *tx_;
};

// --- Consuming ------------------------------------------------------------------------------------

// A record that lies in the ring, until it is released. A hostile producer can change its bytes while
// they are read: copy what you check.
class record
{
      public:
	explicit record(const peal_record &from) noexcept : record_(from)
	{
	}

	const_bytes bytes() const noexcept
	{
		return {static_cast<const std::byte *>(record_.data), record_.size};
	}
	std::uint16_t type() const noexcept
	{
		return record_.type;
	}
	std::string_view text() const noexcept
	{
		return {static_cast<const char *>(record_.data), record_.size};
	}
	// A copy, if the record is exactly one.
	template <class T> std::optional<T> as() const noexcept
	{
		static_assert(std::is_trivially_copyable_v<T>);
		T object;
		if (record_.size != sizeof(object))
			return std::nullopt;
		std::memcpy(&object, record_.data, sizeof(object));
		return object;
	}
	const peal_record &get() const noexcept
	{
		return record_;
	}

      private:
	peal_record record_;
};

inline const_bytes bytes_of(const record &from) noexcept
{
	return from.bytes();
}

// The records that are there, one after the other; all are released when this goes.
class taken
{
      public:
	class iterator
	{
	      public:
		using value_type = record;
		using reference = record;
		using pointer = void;
		using difference_type = std::ptrdiff_t;
		using iterator_category = std::input_iterator_tag;

		iterator() noexcept = default;
		record operator*() const noexcept
		{
			return *of_->current_;
		}
		iterator &operator++() noexcept
		{
			of_->advance();
			return *this;
		}
		void operator++(int) noexcept
		{
			of_->advance();
		}
		// All that are over are equal.
		bool operator!=(const iterator &) const noexcept
		{
			return of_->current_.has_value();
		}
		bool operator==(const iterator &) const noexcept
		{
			return !of_->current_;
		}

	      private:
		friend class taken;
		explicit iterator(taken *of) noexcept : of_(of)
		{
		}
		taken *of_ = nullptr;
	};

	taken(peal_consumer *rx, deadline until) : rx_(rx)
	{
		peal_record first;
		int rc = peal_next_wait(rx, &first, until.ns());

		if (rc == 1)
			current_.emplace(first);
		error_ = error_of(rc);
	}
	taken(const taken &) = delete;
	taken &operator=(const taken &) = delete;
	~taken()
	{
		peal_release(rx_);
	}

	iterator begin() noexcept
	{
		return iterator(this);
	}
	iterator end() noexcept
	{
		return iterator(this);
	}
	// Why there was no record, or no further one: none; the end (broken_pipe); …
	std::error_code error() const noexcept
	{
		return error_;
	}

      private:
	void advance() noexcept
	{
		peal_record next;
		int rc = peal_next(rx_, &next);

		current_.reset();
		if (rc == 1)
			current_.emplace(next);
		else
			error_ = error_of(rc);
	}

	peal_consumer *rx_;
	std::optional<record> current_;
	std::error_code error_;
};

struct received {
	std::size_t size;
	std::uint16_t type;
};

// This side's consumer; lives in the channel.
class consumer
{
      public:
	explicit consumer(peal_consumer *rx) noexcept : rx_(rx)
	{
	}
	explicit operator bool() const noexcept
	{
		return rx_;
	}
	peal_consumer *get() const noexcept
	{
		return rx_;
	}

	// Waits for the first; then all that are there, without a wait.
	[[nodiscard]] taken take(deadline until)
	{
		return taken(rx_, until);
	}
	// The next one, in place; more may be looked at before a release. Without a wait,
	// resource_unavailable_try_again when there is none.
	result<record> next() noexcept
	{
		peal_record found;
		int rc = peal_next(rx_, &found);

		if (rc == 1)
			return record(found);
		return error_of(rc < 0 ? rc : -EAGAIN);
	}
	result<record> next(deadline until)
	{
		peal_record found;
		int rc = peal_next_wait(rx_, &found, until.ns());

		if (rc == 1)
			return record(found);
		return error_of(rc);
	}
	std::error_code release() noexcept
	{
		return error_of(peal_release(rx_));
	}
	std::error_code release_to(const record &last) noexcept
	{
		return error_of(peal_release_to(rx_, &last.get()));
	}
	// A copy, which the peer can change no more, and release.
	result<received> receive(bytes into, deadline until)
	{
		std::uint16_t type = 0;
		std::int64_t rc = peal_recv(rx_, into.data(), into.size(), &type, until.ns());

		if (rc < 0)
			return error_of(rc);
		return received{static_cast<std::size_t>(rc), type};
	}

      private:
	peal_consumer *rx_;
};

// --- Handles ---------------------------------------------------------------------------------------

template <auto Release> struct releaser {
	template <class T> void operator()(T *held) const noexcept
	{
		Release(held);
	}
};

// Owns a handle of C. What is moved from holds none.
template <class T, auto Release> using handle = std::unique_ptr<T, releaser<Release>>;

// What a C function made, if it did.
template <class Handle, class T> result<Handle> owned(int rc, T *made) noexcept
{
	if (rc < 0)
		return error_of(rc);
	return Handle(made);
}

// --- Processes and channels -----------------------------------------------------------------------

// A process that was started. Ended and reaped when this goes.
class child
{
      public:
	explicit child(peal_child *from) noexcept : child_(from)
	{
	}

	peal_child *get() const noexcept
	{
		return child_.get();
	}
	pid_t pid() const noexcept
	{
		return peal_child_pid(child_.get());
	}
	int pidfd() const noexcept
	{
		return peal_child_pidfd(child_.get());
	}
	result<peal_child_status> wait(deadline until)
	{
		peal_child_status status{};
		int rc = peal_child_wait(child_.get(), until.ns(), &status);

		if (rc < 0)
			return error_of(rc);
		return status;
	}
	std::error_code kill(int signal) noexcept
	{
		return error_of(peal_child_kill(child_.get(), signal));
	}
	std::string describe() const
	{
		char text[256];

		return peal_child_describe(child_.get(), text, sizeof(text));
	}

      private:
	handle<peal_child, peal_child_free> child_;
};

struct channel_options {
	std::uint64_t to_guest = 0; // bytes; 0: no such ring
	std::uint64_t to_host = 0;
	std::uint32_t align = 8;
	peal_doorbell_kind doorbell = PEAL_DOORBELL_SOCKET;
	std::uint32_t flags = 0;
	std::int32_t spin_max_us = PEAL_SPIN_DEFAULT;
	const char *name = nullptr;
};

class channel
{
      public:
	explicit channel(peal_channel *from) noexcept : channel_(from)
	{
	}

	static result<channel> create(const channel_options &options) noexcept
	{
		peal_channel_options plain{};
		peal_channel *made = nullptr;

		plain.size = sizeof(plain);
		plain.to_guest = options.to_guest;
		plain.to_host = options.to_host;
		plain.align = options.align;
		plain.doorbell = options.doorbell;
		plain.flags = options.flags;
		plain.spin_max_us = options.spin_max_us;
		plain.name = options.name;
		int rc = peal_channel_create(&made, &plain);

		return owned<channel>(rc, made);
	}
	// The guest's side, from the command line of main().
	static result<channel> attach(int &argc, char **argv,
				      const peal_attach_options *options = nullptr) noexcept
	{
		peal_channel *made = nullptr;

		int rc = peal_attach_args(&made, &argc, argv, options);

		return owned<channel>(rc, made);
	}

	peal_channel *get() const noexcept
	{
		return channel_.get();
	}
	producer tx() const noexcept
	{
		return producer(peal_tx(channel_.get()));
	}
	consumer rx() const noexcept
	{
		return consumer(peal_rx(channel_.get()));
	}
	result<child> spawn(const std::vector<std::string> &command,
			    const peal_spawn_options *options = nullptr)
	{
		std::vector<char *> argv;
		peal_child *made = nullptr;
		int rc;

		argv.reserve(command.size() + 1);
		for (const std::string &word : command)
			argv.push_back(const_cast<char *>(word.c_str())); // exec changes none
		argv.push_back(nullptr);
		rc = peal_spawn(&made, channel_.get(), argv.data(), options);
		return owned<child>(rc, made);
	}
	std::error_code wait_ready(child &of, deadline until)
	{
		return error_of(peal_child_wait_ready(of.get(), channel_.get(), until.ns()));
	}
	peal_peer peer() const noexcept
	{
		return static_cast<peal_peer>(peal_channel_peer(channel_.get()));
	}
	int rx_fd() const noexcept
	{
		return peal_rx_fd(channel_.get());
	}
	int tx_fd() const noexcept
	{
		return peal_tx_fd(channel_.get());
	}
	int peer_fd() const noexcept
	{
		return peal_channel_peer_fd(channel_.get());
	}

      private:
	handle<peal_channel, peal_channel_close> channel_;
};

// --- The poller -----------------------------------------------------------------------------------

// Removed when this goes; before the channel or child that it watches, and before its poller.
class watch
{
      public:
	explicit watch(peal_watch *from) noexcept : watch_(from)
	{
	}

	peal_watch *get() const noexcept
	{
		return watch_.get();
	}
	std::error_code resume(std::size_t size = 0) noexcept
	{
		return error_of(peal_watch_resume(watch_.get(), size));
	}

      private:
	handle<peal_watch, peal_watch_remove> watch_;
};

class poller
{
      public:
	explicit poller(peal_poller *from) noexcept : poller_(from)
	{
	}

	static result<poller> create(enum ::peal_poller_backend backend = PEAL_POLLER_AUTO) noexcept
	{
		peal_poller_options options{};
		peal_poller *made = nullptr;
		int rc;

		options.size = sizeof(options);
		options.backend = backend;
		rc = peal_poller_create(&made, &options);
		return owned<poller>(rc, made);
	}

	peal_poller *get() const noexcept
	{
		return poller_.get();
	}
	result<watch> watch_data(channel &of, void *user, unsigned int flags = 0) noexcept
	{
		peal_watch *made = nullptr;

		int rc = peal_poller_watch_data(poller_.get(), of.get(), flags, user, &made);

		return owned<watch>(rc, made);
	}
	result<watch> watch_space(channel &of, std::size_t size, void *user,
				  unsigned int flags = 0) noexcept
	{
		peal_watch *made = nullptr;

		int rc = peal_poller_watch_space(poller_.get(), of.get(), size, flags, user, &made);

		return owned<watch>(rc, made);
	}
	result<watch> watch_child(child &of, void *user) noexcept
	{
		peal_watch *made = nullptr;

		int rc = peal_poller_watch_child(poller_.get(), of.get(), user, &made);

		return owned<watch>(rc, made);
	}
	// How many came.
	result<std::size_t> wait(view<peal_event> events, deadline until)
	{
		int rc = peal_poller_wait(poller_.get(), events.data(),
					  static_cast<int>(events.size()), until.ns());

		if (rc < 0)
			return error_of(rc);
		return static_cast<std::size_t>(rc);
	}
	std::error_code wake() noexcept
	{
		return error_of(peal_poller_wake(poller_.get()));
	}
	std::error_code flush() noexcept
	{
		return error_of(peal_poller_flush(poller_.get()));
	}
	int fd() const noexcept
	{
		return peal_poller_fd(poller_.get());
	}
	// True: there may be events, so do not sleep.
	result<bool> arm() noexcept
	{
		int rc = peal_poller_arm(poller_.get());

		if (rc < 0)
			return error_of(rc);
		return rc == 1;
	}

      private:
	handle<peal_poller, peal_poller_close> poller_;
};

} // namespace peal

#endif
