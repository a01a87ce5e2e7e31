# Completion of ipcbox and its applets for bash 4.2 and later, with or without the bash-completion package.
# Generated from the tables of the program: BLESS=1 cargo test generated
# shellcheck shell=bash disable=SC2016,SC2034,SC2154

typeset -gA _ipcbox_table=(
[.]='fifo	verb	Read and write named pipes without hanging, by line or in bulk
ipcrm-lite	verb	Remove IPC objects by id, key, name or filter
ipcs-lite	verb	Show every IPC object, the limits, and what a command leaks
msgq	verb	Queues: send, receive, share out work, ask and be answered
pipe	verb	Run pipelines that tell the truth, fan out, merge, show progress
sem	verb	Limit, lock and meet: semaphores that a killed process gives back
shm	verb	Shared memory: bytes, counters, words to wait on, sealed files
signal	verb	Send, await and translate signals, await processes, without races
key	verb	Print the System V key behind each target
--install	verb	Make links named after the applets in a directory
help	verb	Explain an applet or a verb
--list		Print the names of the applets
-V,--version		Print the version
-h,--help		Print help'
[help]='>.'
[fifo]='create	verb	Make FIFOs
read	verb	Copy what writers write to standard output
write	verb	Write lines or standard input, when there is a reader
serve	verb	Run CMD for each line that writers write
stat	verb	Show what FIFOs hold, and who reads and writes them
rm	verb	Remove FIFOs, and nothing else
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help'
[fifo_help]='>fifo'
[fifo_create]='#*	file	The FIFOs
-p,--parents		Make the directories that are missing too
-x,--exclusive		Fail with status 4 if it is there already
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[fifo_read]='#*	fifo	The FIFOs
--create		Make it if it is missing
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
--rm		Remove at the end what was made here
-f,--follow		Stay when writers have closed, until a signal comes, or nothing for as long as --timeout
-c,--count	-	Stop after COUNT lines and leave the rest in the FIFO; --records is another name
-0,--null		Lines end in NUL instead of newline
--tag		Put "PATH: " before each line
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[fifo_write]='#1	fifo	The FIFO
#*	-	Lines to write instead of standard input
--create		Make it if it is missing
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
--lines		Write every line in one piece
--readers	-	Wait for so many readers instead of one
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[fifo_serve]='#1	fifo	The FIFO
--create		Make it if it is missing
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
--rm		Remove at the end what was made here
-0,--null		Lines end in NUL instead of newline
-j,--jobs	-	Run at most N CMDs at once (default: 1)
--report	file	Write what became of each CMD to FILE
--	command	The command and its arguments, run as given
-h,--help		Print help (see more with '\''--help'\'')'
[fifo_stat]='#*	fifo	The FIFOs
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
--no-header		No line of column titles
--color	=auto,always,never	Colour: auto, always or never
-h,--help		Print help (see more with '\''--help'\'')'
[fifo_rm]='#*	fifo	The FIFOs
--force		Also what is in use
--missing-ok		What is not there counts as removed
-h,--help		Print help'
[ipcrm-lite]='-m,--shmem-id	shm-id	The segment with this id
-q,--queue-id	msg-id	The message queue with this id
-s,--semaphore-id	sem-id	The semaphore set with this id
-M,--shmem-key	shm-key	The segment behind this key
-Q,--queue-key	msg-key	The message queue behind this key
-S,--semaphore-key	sem-key	The semaphore set behind this key
--posix-shmem	-	The POSIX shared memory with this name
--posix-mqueue	-	The POSIX queue with this name
--posix-semaphore	-	The POSIX semaphore with this name
--shm	+shm	TARGETs after it are shared memory
--msg	+msg	TARGETs after it are message queues
--sem	+sem	TARGETs after it are semaphores
#*	ipc	What to remove
-a,--all	?=shm,msg,sem	All, or all of this kind
-v,--verbose		Say what is being removed
--posix		Also POSIX objects
--dry-run		Show what would go
--yes		Do not ask
--force		Also what is attached, open, held or waited on
--missing-ok		What is not there counts as removed
--owner	user	Only those of this user
--mine		Only those of the caller
--older-than	-	Only those last used or changed so long ago
--keep	ipc	Never this one, also where it is named
--unused		Only those attached, open and waited on by nobody
--orphaned		Only those whose users are proved to be gone
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
--no-header		No line of column titles
--color	=auto,always,never	Colour: auto, always or never
-h,--help		Print help (see more with '\''--help'\'')'
[ipcrm]='>ipcrm-lite'
[ipcs-lite]='-q,--queues	+msg	Message queues
-m,--shmems	+shm	Shared memory segments
-s,--semaphores	+sem	Semaphore sets
-a,--all		All three, as without any of them
-i,--id	ipc-id	The details of this one, of one kind
-t,--time		Times of use and change
-p,--pid		Processes: creator and last user
-c,--creator		Creators and owners
-l,--limits		The limits
-u,--summary		What is used of them
--human		Sizes with a unit
-b,--bytes		Sizes in bytes
-P,--posix		Also POSIX objects
--holders		Who maps a segment, and who waits in which operation
--of	pid	Those of the IPC namespace of this process
--sort	-	In the order of this column
--watch		Again and again; where it is no terminal, the changes
--leaks		Run CMD, and tell what it leaves behind
--clean		Remove what it leaves behind
--isolate		Run it in an IPC namespace of its own
--owner	user	Only those of this user
--mine		Only those of the caller
--older-than	-	Only those last used or changed so long ago
--keep	ipc	Never this one, also where it is named
--unused		Only those attached, open and waited on by nobody
--orphaned		Only those whose users are proved to be gone
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
--no-header		No line of column titles
--color	=auto,always,never	Colour: auto, always or never
#*	ipc	Only these
--	command	The command and its arguments, run as given
-h,--help		Print help (see more with '\''--help'\'')'
[ipcs]='>ipcs-lite'
[msgq]='create	verb	Make a queue
send	verb	Send messages
recv	verb	Receive messages
peek	verb	Look at messages without taking them
call	verb	Send a request and print the reply
serve	verb	Run CMD for each message, and answer calls
stat	verb	Show queues, and who waits on them
set	verb	Set limit, permission bits and owner
rm	verb	Remove queues
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help'
[msgq_help]='>msgq'
[msgq_create]='#1	new	The queue; private for one without a key
--max-bytes	-	System V: bytes of data that fit, 1K or 64K
--max-messages	-	POSIX: messages that fit, 10 if left out
--message-size	-	POSIX: bytes of one message at most, 8192 if left out
-x,--exclusive		Fail with status 4 if it is there already
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[msgq_send]='#1	msg	The queue
#*	-	The messages; after -- one may begin with -
-t,--type	-	System V: the type, 1 if left out
--priority	-	POSIX: the priority, 0 if left out; the highest is received first
--lines		Each line of standard input is a message, without its newline
-0,--null		Each record of standard input that ends in NUL is a message
--create		Make it if it is missing
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[msgq_recv]='#1	msg	The queue
-t,--type	-	System V: 0 any, N that type, -N the lowest up to N
--except	-	System V: any but this type
-c,--count	-	So many messages
--drain		All that there are, until the queue is empty
--follow		Without end
--until	-	Stop after a message that says TEXT; a newline or a NUL at its end does not count
--raw		Nothing after each message
-0,--null		A NUL after each message
-J,--json		A line of JSON for each message
--text		Each message up to its first NUL, and a newline
--format	-	Each message so: %t %p %l %d %n
--create		Make it if it is missing
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[msgq_peek]='#1	msg	The queue
--index	-	The message in this place, 0 if left out
--all		All messages, in their order
-J,--json		A line of JSON for each message
-h,--help		Print help (see more with '\''--help'\'')'
[msgq_call]='#1	msg	The queue
#2	-	The request; after -- it may begin with -
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[msgq_serve]='#1	msg	The queue
-t,--type	-	System V: 0 any, N that type, -N the lowest up to N
-c,--count	-	So many messages
--drain		All that there are, until the queue is empty and no job runs
-j,--jobs	-	Run at most N CMDs at once (default: 1)
--report	file	Write what became of each CMD to FILE
--	command	The command and its arguments, run as given
--create		Make it if it is missing
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[msgq_stat]='#*	msg	The queues
--waiters		Who waits, to send or for which type, instead
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
--no-header		No line of column titles
--color	=auto,always,never	Colour: auto, always or never
-h,--help		Print help (see more with '\''--help'\'')'
[msgq_set]='#1	msg	The queue
--max-bytes	-	System V: bytes of data that fit
-m,--mode	-	New permission bits, in octal
--owner	user	New owner, and group
-h,--help		Print help'
[msgq_rm]='#*	msg	The objects
--force		Also what is attached, held or waited on
--missing-ok		What is not there counts as removed
-h,--help		Print help'
[pipe]='run	verb	Run a pipeline, and fail where a stage has failed
tee	verb	Copy standard input to files and commands at once
merge	verb	Run commands at once, their output lines whole
duplex	verb	Run two commands, each reading what the other writes
meter	verb	Copy standard input to standard output with a progress bar
stat	verb	Show what pipes hold, who holds their ends, and the limits
resize	verb	Let pipes hold more or less, then run CMD
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help'
[pipe_help]='>pipe'
[pipe_run]='--shell		Each word is a stage: a command line for /bin/sh
--sep	-	The word between stages instead of :::
#*	-	With --shell: the command line of each stage
--	stages	The commands, run as given, with ::: between them
--strict		A stage that SIGPIPE ended has failed
--fail-fast		End the others as soon as one has failed
--capacity	-	How much each pipe is to hold, or max
--max-time	-	End CMD after DURATION: TERM, KILL 5s later (0: off)
--then	signal	Send this instead when the time is over, then wait D (5s) before the next --then
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
--report	file	Write what became of each command to FILE
-h,--help		Print help (see more with '\''--help'\'')'
[pipe_tee]='-o	file	Write to FILE too; - is standard output
--append		Add to the FILEs instead of writing them anew
--fail-fast		End all as soon as one has failed or stopped reading
--report	file	Write what became of each command to FILE
--shell		Each word is a stage: a command line for /bin/sh
--sep	-	The word between stages instead of :::
#*	-	With --shell: the command line of each stage
--	stages	The commands, run as given, with ::: between them
-h,--help		Print help (see more with '\''--help'\'')'
[pipe_merge]='--shell		Each word is a stage: a command line for /bin/sh
--sep	-	The word between stages instead of :::
#*	-	With --shell: the command line of each stage
--	stages	The commands, run as given, with ::: between them
--tag		Begin each line with the command'\''s name or number
-0,--null		Lines end in NUL instead of newline
--keep-order		One command'\''s output after the other
--report	file	Write what became of each command to FILE
--max-time	-	End CMD after DURATION: TERM, KILL 5s later (0: off)
--then	signal	Send this instead when the time is over, then wait D (5s) before the next --then
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-h,--help		Print help (see more with '\''--help'\'')'
[pipe_duplex]='--shell		Each word is a stage: a command line for /bin/sh
--sep	-	The word between stages instead of :::
#*	-	With --shell: the command line of each stage
--	stages	The commands, run as given, with ::: between them
--max-time	-	End CMD after DURATION: TERM, KILL 5s later (0: off)
--then	signal	Send this instead when the time is over, then wait D (5s) before the next --then
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-h,--help		Print help (see more with '\''--help'\'')'
[pipe_meter]='#1	file	What to read instead of standard input
--size	-	How much will come
--name	-	Stands before the line
--rate-limit	-	At most so much a second
--interval	-	How often the line is drawn (1s)
--lines		Count lines instead of bytes
--force		Draw although standard error is no terminal
-J,--json		A JSON object a line instead
-h,--help		Print help (see more with '\''--help'\'')'
[pipe_stat]='#*	pipe	The pipes: FD, PID:FD or a path
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
--no-header		No line of column titles
--color	=auto,always,never	Colour: auto, always or never
-h,--help		Print help (see more with '\''--help'\'')'
[pipe_resize]='#1	-	The capacity, or max
#*	pipe	The pipes: FD or a path
--	command	What to become then
-h,--help		Print help (see more with '\''--help'\'')'
[sem]='run	verb	Take a slot, then become CMD
lock	verb	Take a lock, alone or shared, then become CMD
hold	verb	Hold a slot or a lock until the process PID ends
barrier	verb	Meet N callers; all leave together
create	verb	Make a semaphore, a set of them, or slots
wait	verb	Take from the value (P), waiting until there is enough
post	verb	Add to the value (V)
op	verb	Do several operations at once, all or none
get	verb	Print the value
set	verb	Set values, permission bits and owner
stat	verb	Show semaphores, who holds them and who waits
rm	verb	Remove semaphores
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help'
[sem_help]='>sem'
[sem_run]='#1	sem	The slots
--slots	-	Make N slots if missing; if there, they must be N
--resize		Make it N: more at once, less as they come free
--take	-	Take K slots at once
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
--	command	The command and its arguments, run as given
-h,--help		Print help (see more with '\''--help'\'')'
[sem_lock]='#1	sem	The lock
-s,--shared		Share it with others that share it
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
--	command	The command and its arguments, run as given
-h,--help		Print help (see more with '\''--help'\'')'
[sem_hold]='#1	sem	The slots or the lock
#2	pid	The process to hold it for
--slots	-	Make N slots if missing; if there, they must be N
--lock		Take a lock instead of a slot
-s,--shared		Share the lock with others that share it
--take	-	Take K slots at once
--release		Release what TARGET'\''s holder holds for PID
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[sem_barrier]='#1	sem	The barrier
#2	-	How many meet
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[sem_create]='#1	new	The set; private for one without a key
--value	-	The values, 0 if left out; one fills all
--nsems	-	As many semaphores as there are values, or K
--slots	-	Make N slots, as run does
-x,--exclusive		Fail with status 4 if it is there already
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[sem_wait]='#1	sem	The semaphore
-i,--index	-	The semaphore with this number in its set
--by	-	Take K at once
--zero		Wait until the value is 0, and take nothing
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[sem_post]='#1	sem	The semaphore
-i,--index	-	The semaphore with this number in its set
--by	-	Add K at once
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[sem_op]='#1	sem	The set
#*	-	Operations, as in 0:-1, 0..3:+1, 2:0 or 0:-1nu
--undo		Take all of them back when the process ends
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
--	command	A command to become, with its arguments, run as given
-h,--help		Print help (see more with '\''--help'\'')'
[sem_get]='#1	sem	The semaphore
-i,--index	-	The semaphore with this number in its set
--all		All values of the set on one line, one blank between
-h,--help		Print help'
[sem_set]='#1	sem	The set
#*	-	A value, or INDEX=VALUE, or FIRST..LAST=VALUE
-i,--index	-	A bare VALUE is for the semaphore with this number
-m,--mode	-	New permission bits, in octal
--owner	user	New owner, and group
-h,--help		Print help'
[sem_stat]='#*	sem	The sets and POSIX semaphores
--holders		Who has a slot or the lock instead
--waiters		Who waits, and for which operations, instead
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
--no-header		No line of column titles
--color	=auto,always,never	Colour: auto, always or never
-h,--help		Print help (see more with '\''--help'\'')'
[sem_rm]='--force		Also what is attached, held or waited on
--missing-ok		What is not there counts as removed
--unused		Remove only slots and locks that no process holds or waits on
--older-than	-	Remove only those last used so long ago
--yes		Remove all unused ones without asking
#*	sem	The objects
-h,--help		Print help (see more with '\''--help'\'')'
[shm]='create	verb	Make a segment or a POSIX object of zeros
write	verb	Write TEXT or standard input
read	verb	Print the bytes
get	verb	Print the value of a word
set	verb	Set a word, or size, pinning, permission bits and owner
add	verb	Add to a word and print the new value
cas	verb	Give a word a new value if it has the old one
wait	verb	Sleep until a 32-bit word has a value
stat	verb	Show segments and POSIX objects, and who uses them
memfd	verb	Give CMD a sealed memory file
rm	verb	Remove segments and POSIX objects
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help'
[shm_help]='>shm'
[shm_create]='#1	new	The segment or POSIX object; private for a segment without a key
--size	-	How large: 4096, 64K, 2G, or 64KB for 64,000
-x,--exclusive		Fail with status 4 if it is there already
--huge		Use huge pages (System V)
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[shm_write]='#1	shm	The segment or POSIX object
#2	-	What to write instead of standard input
--offset	-	Begin there, in bytes from the start
--create		Make it if it is missing, as large as the data needs
--clear		Make zero what follows the data
--replace		Make the data the whole content; the size follows (POSIX)
--lock	sem	Do it under this lock of sem lock, made if it is missing
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-h,--help		Print help (see more with '\''--help'\'')'
[shm_read]='#1	shm	The segment or POSIX object
--offset	-	Begin there, in bytes from the start
--length	-	At most so many bytes
--text		Stop before the first NUL
--lock	sem	Do it under this lock of sem lock, made if it is missing
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-h,--help		Print help (see more with '\''--help'\'')'
[shm_get]='#1	shm	The segment or POSIX object
--offset	-	Where the word is, in bytes from the start
--bits	=32,64	How wide it is, in bits; 32 if left out
-h,--help		Print help'
[shm_set]='#1	shm	The segment or POSIX object
--offset	-	Where the word is, in bytes from the start
--bits	=32,64	How wide it is, in bits; 32 if left out
#2	-	The word'\''s new value
--size	-	New size (POSIX)
--pin		Keep it from being swapped out (System V)
--unpin		Let it be swapped out again
--create		Create it if it is missing, a page of zeros
--foreign		Trust an object that belongs to another user
-m,--mode	-	New permission bits, in octal
--owner	user	New owner, and group
-h,--help		Print help (see more with '\''--help'\'')'
[shm_add]='#1	shm	The segment or POSIX object
--offset	-	Where the word is, in bytes from the start
--bits	=32,64	How wide it is, in bits; 32 if left out
--by	-	Add K instead of 1
--create		Make it if it is missing, a page of zeros
-m,--mode	-	Permission bits of a new object, in octal
--foreign		Trust an object that belongs to another user
-h,--help		Print help (see more with '\''--help'\'')'
[shm_cas]='#1	shm	The segment or POSIX object
--offset	-	Where the word is, in bytes from the start
--bits	=32,64	How wide it is, in bits; 32 if left out
#2	-	The value that it must have
#3	-	The value that it then gets
-h,--help		Print help'
[shm_wait]='#1	shm	The segment or POSIX object
--offset	-	Where the word is, in bytes from the start
--bits	=32,64	How wide it is, in bits; 32 if left out
#2	-	The value to compare the word with
--until	=eq,ne,ge,le	Until the word is equal, not equal, at least or at most VALUE
--changed		Until the word differs from what it is when the wait begins
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[shm_stat]='#*	shm	The segments and POSIX objects
--holders		The processes that map it now, or have a POSIX object open, instead
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
--no-header		No line of column titles
--color	=auto,always,never	Colour: auto, always or never
-h,--help		Print help (see more with '\''--help'\'')'
[shm_memfd]='#1	file	What to read instead of standard input
--name	-	The name that /proc shows for it
--writable		Leave it unsealed
--executable		Let it be executed
--	command	The command and its arguments, run as given
-h,--help		Print help (see more with '\''--help'\'')'
[shm_rm]='#*	shm	The objects
--force		Also what is attached, held or waited on
--missing-ok		What is not there counts as removed
-h,--help		Print help'
[signal]='send	verb	Send a signal to processes, and wait for their end
wait	verb	Wait for signals, and tell who sent them
run	verb	Run CMD with other dispositions, translated signals and no orphans
join	verb	Wait for any process, and tell how it ended
stat	verb	Show what a process has pending, blocked, ignored and caught
list	verb	Show the signals, or what a number, name, status or mask stands for
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help'
[signal_help]='>signal'
[signal_send]='#1	signal	The signal: TERM, 15, RTMIN+3, or 0
#*	pid	The processes: PID, PID:INODE or PID@START
--value	-	Send this number along, as sigqueue does
--group		Send to the process group that PID leads
--tree		Send to PID and all below it
--below		Send to all below PID, but neither to PID nor to ipcbox
--when-caught	-	First wait until PID has a handler for SIG, at most D
--wait	-	Wait until they have ended, at most D
--then	signal	Then send this to those that have not, and wait for D (5s)
--missing-ok		It is no failure that a process is gone already
--dry-run		Only show what would be signalled
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
-h,--help		Print help (see more with '\''--help'\'')'
[signal_wait]='#*	signal	The signals: TERM, 15, RTMIN+3, or several as INT,TERM
-c,--count	-	Take N of them
--ready	file	Write the box'\''s pid to FILE once no signal can be missed
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[signal_run]='--ignore	signal	Signals that CMD ignores, as INT,TERM
--block	signal	Signals that CMD has blocked
--default	signal	Signals that CMD does not ignore
--map	signal	What CMD gets when A comes: B, or nothing for A=
--on	signal	Run CMDLINE by /bin/sh when SIG comes
--forward	=cmd,group,tree	Send what arrives to cmd (default), group or tree
--parent-death	signal	What CMD gets when the box'\''s parent ends
--reap		Be the parent of orphans below CMD, and reap them
--kill-tree		Leave no descendant of CMD alive
--max-time	-	End CMD after DURATION: TERM, KILL 5s later (0: off)
--then	signal	Send this instead when the time is over, then wait D (5s) before the next --then
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
--	command	The command and its arguments, run as given
-h,--help		Print help (see more with '\''--help'\'')'
[signal_join]='#*	pid	The processes: PID, PID:INODE or PID@START; one that is named twice is one
-c,--count	-	Return when N of them have ended
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
-w,--timeout	-	Wait at most so long: 5, 0.25, 250ms, 1m30s, 2h
-n,--nonblock		Do not wait at all
-E,--timeout-status	-	Exit with N on timeout (default: 124; 0 is silent)
-q,--quiet		Suppress the waiting message, and the answer of create and hold
-h,--help		Print help (see more with '\''--help'\'')'
[signal_stat]='#*	pid	The processes: PID, PID:INODE or PID@START
--threads		A line for each thread
--stuck		Only what is pending and blocked at once
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
--no-header		No line of column titles
--color	=auto,always,never	Colour: auto, always or never
-h,--help		Print help (see more with '\''--help'\'')'
[signal_list]='#*	signal	A number, a name, an exit status from 129 on, or a mask like 0x4002; several as INT,TERM
-J,--json		One JSON object a line
--columns	-	These columns only, in this order
--no-header		No line of column titles
--color	=auto,always,never	Colour: auto, always or never
-h,--help		Print help (see more with '\''--help'\'')'
[key]='#*	key	Names, keys, ftok:PATH and ftok:PATH:N
-h,--help		Print help'
[--install]='--prefix	-	Put this before each link'\''s name, as in ipc-sem
--force		Replace files and links that are in the way
#1	dir	The directory for the links
#*	applet	These applets only
-h,--help		Print help (see more with '\''--help'\'')'
[signals]='HUP	-	the terminal is gone; daemons read their configuration again
INT	-	interrupt, from the keyboard: ^C
QUIT	-	quit, from the keyboard: ^\
ILL	-	an instruction that does not exist
TRAP	-	a breakpoint
ABRT	-	abort(3): the program gave up
BUS	-	memory that has nothing behind it, as beyond the end of a mapped file
FPE	-	an arithmetic error, as a division by zero
KILL	-	the end, which cannot be caught, blocked or ignored
USR1	-	for the program'\''s own use
SEGV	-	memory that may not be used so
USR2	-	for the program'\''s own use
PIPE	-	a pipe or socket that nobody reads was written to
ALRM	-	the time of alarm(2) is over
TERM	-	please end
STKFLT	-	unused: a stack fault of a coprocessor
CHLD	-	a child ended, stopped or went on
CONT	-	go on after a stop
STOP	-	stop, which cannot be caught, blocked or ignored
TSTP	-	stop, from the keyboard: ^Z
TTIN	-	a background process read from its terminal
TTOU	-	a background process wrote to its terminal
URG	-	urgent data on a socket
XCPU	-	the limit of processor time was reached
XFSZ	-	the limit of a file'\''s size was reached
VTALRM	-	a timer of the process'\''s own time is over
PROF	-	a profiler'\''s timer is over
WINCH	-	the terminal'\''s window has another size
IO	-	a descriptor is ready
PWR	-	the power fails
SYS	-	a system call that does not exist, or that a filter refused
RTMIN	-	for programs'\'' own use; queued, in order, with a value
RTMIN+1	-	for programs'\'' own use; queued, in order, with a value
RTMIN+2	-	for programs'\'' own use; queued, in order, with a value
RTMIN+3	-	for programs'\'' own use; queued, in order, with a value
RTMIN+4	-	for programs'\'' own use; queued, in order, with a value
RTMIN+5	-	for programs'\'' own use; queued, in order, with a value
RTMIN+6	-	for programs'\'' own use; queued, in order, with a value
RTMIN+7	-	for programs'\'' own use; queued, in order, with a value
RTMIN+8	-	for programs'\'' own use; queued, in order, with a value
RTMIN+9	-	for programs'\'' own use; queued, in order, with a value
RTMIN+10	-	for programs'\'' own use; queued, in order, with a value
RTMIN+11	-	for programs'\'' own use; queued, in order, with a value
RTMIN+12	-	for programs'\'' own use; queued, in order, with a value
RTMIN+13	-	for programs'\'' own use; queued, in order, with a value
RTMIN+14	-	for programs'\'' own use; queued, in order, with a value
RTMIN+15	-	for programs'\'' own use; queued, in order, with a value
RTMAX-14	-	for programs'\'' own use; queued, in order, with a value
RTMAX-13	-	for programs'\'' own use; queued, in order, with a value
RTMAX-12	-	for programs'\'' own use; queued, in order, with a value
RTMAX-11	-	for programs'\'' own use; queued, in order, with a value
RTMAX-10	-	for programs'\'' own use; queued, in order, with a value
RTMAX-9	-	for programs'\'' own use; queued, in order, with a value
RTMAX-8	-	for programs'\'' own use; queued, in order, with a value
RTMAX-7	-	for programs'\'' own use; queued, in order, with a value
RTMAX-6	-	for programs'\'' own use; queued, in order, with a value
RTMAX-5	-	for programs'\'' own use; queued, in order, with a value
RTMAX-4	-	for programs'\'' own use; queued, in order, with a value
RTMAX-3	-	for programs'\'' own use; queued, in order, with a value
RTMAX-2	-	for programs'\'' own use; queued, in order, with a value
RTMAX-1	-	for programs'\'' own use; queued, in order, with a value
RTMAX	-	for programs'\'' own use; queued, in order, with a value'
)

_ipcbox_live='# What exists now: a line a word, its description after a tab. $1: pid, pipe (of the process $2), or a kind of object (ipc is all
# of them), of which -id and -key are only the ids or keys.
case $1 in
pid)
    # Of the processes that find them only this one is among them.
    set -- /proc/[0-9]*/cmdline
    LC_ALL=C grep -sam1 "" "$@" | LC_ALL=C tr "\000-\011\013-\037\177" " " | awk "{
        pid = substr(\$0, 7, index(\$0, \"/cmdline:\") - 7)
        if (pid != $$) print pid \"\t\" substr(\$0, length(pid) + 16, 120)
    }"
    ;;
pipe)
    for fd in "/proc/$2/fd/"*; do
        [ ! -p "$fd" ] || printf "%s\t\n" "${fd##*/}"
    done
    ;;
*)
    kinds=${1%-*}
    [ "$kinds" != ipc ] || kinds="shm msg sem"
    stat -c "%U %s %n" /dev/shm/* /dev/mqueue/* | awk -v kinds=" $kinds " -v part="${1#*-}" "
        function offer(word, kind, text) {
            if (index(kinds, \" \" kind \" \") && word !~ /[\001-\037\177]/) print word \"\t\" text
        }
        function hex(key, text, n) {
            if (key < 0) key += 4294967296
            for (n = 8; n--; key = int(key / 16)) text = substr(\"0123456789abcdef\", key % 16 + 1, 1) text
            return \"0x\" text
        }
        FILENAME == \"/etc/passwd\" { split(\$0, field, \":\"); user[field[3]] = field[1]; next }
        FILENAME ~ /sysvipc/ && FNR > 1 {
            kind = substr(FILENAME, 15)
            uid = kind == \"sem\" ? \$5 : \$8
            text = (uid in user ? user[uid] : uid) \", \"
            if (kind == \"msg\") text = text \"messages: \" \$5
            if (kind == \"sem\") text = text \"semaphores: \" \$4
            if (kind == \"shm\") text = text \"bytes: \" \$4 \", attached: \" \$7
            if (part != \"key\") offer(\$2, kind, text)
            if (part != \"id\" && \$1 != 0) offer(hex(\$1), kind, text)
        }
        FILENAME == \"-\" && part != \"id\" && part != \"key\" {
            name = \$0
            sub(/.*\//, \"/\", name)
            if (\$3 ~ /^.dev.mqueue/) offer(name, \"msg\", \$1)
            else if (sub(/^.sem\./, \"/\", name)) offer(name, \"sem\", \$1)
            else offer(name, \"shm\", \$1 \", bytes: \" \$2)
        }
    " /etc/passwd /proc/sysvipc/shm /proc/sysvipc/msg /proc/sysvipc/sem -
    ;;
esac 2>/dev/null'

# Goes to a place of the table.
_ipcbox_enter() {
    place=$1
    local text=${_ipcbox_table[$place]}
    if [[ $text == '>'* ]]; then
        place=${text#>}
        text=${_ipcbox_table[$place]}
    fi
    mapfile -t rows <<<"$text"
}

# The value and the description of a word of this place.
_ipcbox_find() {
    local row
    for row in "${rows[@]}"; do
        [[ ,${row%%$'\t'*}, == *",$1,"* ]] || continue
        row=${row#*$'\t'}
        value=${row%%$'\t'*}
        text=${row#*$'\t'}
        return 0
    done
    return 1
}

# Offers a word with its description, where it goes on from what was typed.
_ipcbox_offer() {
    if [[ $1 == "$current"* ]]; then
        offers+=("$1")
        texts+=("${2-}")
    fi
}

# Offers the words of the rows whose value is this, or all options.
_ipcbox_offer_rows() {
    local row word rest
    for row in "${rows[@]}"; do
        rest=${row#*$'\t'}
        [[ $1 == "${rest%%$'\t'*}" || ($1 == options && $row == -*) ]] || continue
        row=${row%%$'\t'*}
        for word in ${row//,/ }; do
            _ipcbox_offer "$word" "${rest#*$'\t'}"
        done
    done
}

# What was typed up to the last of these is left as it is.
_ipcbox_keep() {
    local rest=${current##*["$1"]}
    before+=${current%"$rest"}
    current=$rest
}

_ipcbox_fifos() {
    local file files
    mapfile -t files < <(compgen -f -- "$current")
    for file in "${files[@]}"; do
        [[ -d ${file/#\~\//$HOME/} || -p ${file/#\~\//$HOME/} ]] && _ipcbox_offer "$file"
    done
    as_files=1
    compopt -o filenames
}

# Offers what exists now.
_ipcbox_offer_live() {
    local line lines
    mapfile -t lines < <(exec sh -c "$_ipcbox_live" sh "$@")
    for line in "${lines[@]}"; do
        [[ $line == "$current"* ]] || continue
        offers+=("${line%%$'\t'*}")
        texts+=("${line#*$'\t'}")
    done
}

_ipcbox_values() {
    local word
    case $1 in
        =*) for word in ${1//[=,]/ }; do _ipcbox_offer "$word"; done ;;
        file) compopt -o default ;;
        dir) compopt -o dirnames ;;
        fifo) _ipcbox_fifos ;;
        pipe)
            if [[ $current == +([0-9]):* ]]; then
                _ipcbox_keep :
                _ipcbox_offer_live pipe "${before%:}"
            else
                _ipcbox_fifos
            fi
            ;;
        pid) _ipcbox_offer_live pid ;;
        signal)
            _ipcbox_keep ,=
            if [[ $current == SIG* ]]; then
                before+=SIG
                current=${current#SIG}
            fi
            _ipcbox_enter signals
            _ipcbox_offer_rows -
            ;;
        user)
            if [[ $current == *:* ]]; then
                _ipcbox_keep :
                mapfile -t offers < <(compgen -g -- "$current")
            else
                mapfile -t offers < <(compgen -u -- "$current")
            fi
            ;;
        applet)
            _ipcbox_enter .
            _ipcbox_offer_rows verb
            ;;
        new) _ipcbox_offer private 'A new object without a key' ;;&
        new | key | ipc* | msg* | sem* | shm*)
            if [[ $current == ftok:* ]]; then
                compopt -o default
            else
                [[ $1 == new || $1 == key ]] || _ipcbox_offer_live "${1/#ipc/$kind}"
                [[ $1 == *-* || ($1 != new && $1 != key && $current != f*) ]] || _ipcbox_offer ftok: 'The key of a file'
            fi
            ;;
    esac
}

# A command and its arguments, from this word on: what the shell offers for it where it stands alone.
_ipcbox_command() {
    local at=$1 function
    for function in _comp_command_offset _command_offset; do
        if declare -F "$function" >/dev/null; then
            "$function" "$at"
            return
        fi
    done
    if ((at == COMP_CWORD)); then
        if [[ $current == */* ]]; then
            compopt -o default
        else
            mapfile -t COMPREPLY < <(compgen -c -- "$current")
        fi
        return
    fi
    local command=${COMP_WORDS[at]} spec
    spec=$(complete -p -- "${command##*/}" 2>/dev/null)
    local COMP_LINE=${COMP_LINE:$2} COMP_POINT=$((COMP_POINT - $2))
    local COMP_WORDS=("${COMP_WORDS[@]:at}") COMP_CWORD=$((COMP_CWORD - at))
    if [[ $spec =~ \ -F\ ([^ ]+) ]] && function=${BASH_REMATCH[1]} && declare -F "$function" >/dev/null; then
        [[ $spec =~ \ -o\ (nospace) ]] && compopt -o nospace
        [[ $spec =~ \ -o\ (filenames) ]] && compopt -o filenames
        "$function" "$command" "$3" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
    fi
    ((${#COMPREPLY[@]})) || compopt -o default
}

# Hands the offers to readline, where they are listed with their descriptions.
_ipcbox_reply() {
    local i at word width=0 listed='' cut=${typed%"$1"}
    local -A first=()
    # One word twice, as an id of two kinds: its descriptions would count as what is common to both.
    for i in "${!offers[@]}"; do
        word=x${offers[i]}
        at=${first[$word]-}
        if [[ $at ]]; then
            [[ ! ${texts[i]-} ]] || texts[at]+="; ${texts[i]}"
            unset 'offers[i]'
        else
            first[$word]=$i
        fi
    done
    [[ $COMP_TYPE == 63 || $COMP_TYPE == 33 || $COMP_TYPE == 64 ]] && ((${#offers[@]} > 1)) && listed=1
    for i in "${!offers[@]}"; do
        word=$before${offers[i]}
        word=${word#"$cut"}
        [[ ! $as_files && $word == *[!A-Za-z0-9_./:=,@%+#-]* ]] && printf -v word %q "$word"
        COMPREPLY[i]=$word
        ((width = ${#word} > width ? ${#word} : width))
    done
    if [[ $listed && ! $as_files ]]; then
        for i in "${!offers[@]}"; do
            [[ ${texts[i]-} ]] || continue
            printf -v word '%-*s  %s' "$width" "${COMPREPLY[i]}" "${texts[i]}"
            COMPREPLY[i]=${word:0:${COLUMNS:-80} - 3}
        done
    elif [[ ${#offers[@]} == 1 && ${offers[*]} == *: ]]; then
        compopt -o nospace
    fi
}

_ipcbox() {
    local IFS=$' \t\n' words=() at=() starts=() line=${COMP_LINE:0:COMP_POINT} rest word i
    COMPREPLY=()
    # The words as the shell splits them; readline cuts them once more, at : and =.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        rest=${line#"${line%%[![:blank:]]*}"}
        word=${COMP_WORDS[i]:0:${#rest}}
        if [[ $rest == "$line" ]] && ((i)); then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
            at+=("$i")
            starts+=($((COMP_POINT - ${#rest})))
        fi
        line=${rest#"$word"}
    done
    local current=${words[${#words[@]} - 1]#[\"\']} before='' offers=() texts=() as_files=''
    local typed=$current name=${words[0]##*/} place rows value text pending='' maybe='' ended='' count='' below kind=ipc
    while [[ ! ${_ipcbox_table[$name]-} && $name == *-* ]]; do
        name=${name#*-}
    done
    [[ ${_ipcbox_table[$name]-} ]] || name=.
    if [[ $name == "${words[0]}" ]]; then
        # Another program can have that name, as GNU parallel's sem has.
        local box program
        box=$(type -P ipcbox) program=$(type -P "$name")
        if [[ $box && $program && ! $program -ef $box ]]; then
            compopt -o default
            return
        fi
    fi
    _ipcbox_enter "$name"
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        maybe=''
        below=${place}_$word
        if [[ $pending ]]; then
            pending=''
        elif [[ ! $count$ended && ${_ipcbox_table[${below#._}]-} ]]; then
            _ipcbox_enter "${below#._}"
        elif [[ ! $ended && $word == -- ]]; then
            ended=1
            _ipcbox_find -- || continue
            local command=$((i + 1))
            for ((i++; i < ${#words[@]} - 1; i++)); do
                [[ $value == stages && ${words[i]} == ::: ]] && command=$((i + 1))
            done
            _ipcbox_command "${at[command]}" "${starts[command]}" "$2"
            return
        elif [[ ! $ended ]] && _ipcbox_find "$word"; then
            case $value in
                \?*) maybe=${value#?} ;;
                +*) kind=${value#?} ;;
                *) pending=$value ;;
            esac
        elif [[ $ended || $word != -?* ]]; then
            ((++count))
        fi
    done
    if [[ $pending ]]; then
        _ipcbox_values "$pending"
    elif [[ ! $ended && $current == --*=* ]]; then
        if _ipcbox_find "${current%%=*}"; then
            _ipcbox_keep '='
            _ipcbox_values "${value#\?}"
        fi
    elif [[ ! $ended && $current == -* ]]; then
        _ipcbox_offer_rows options
    else
        [[ ! $maybe ]] || _ipcbox_values "$maybe"
        ((count)) || _ipcbox_offer_rows verb
        if _ipcbox_find "#$((count + 1))" || _ipcbox_find '#*'; then
            _ipcbox_values "$value"
        elif _ipcbox_find --; then
            _ipcbox_offer -- "$text"
        fi
    fi
    _ipcbox_reply "$2"
}

# Other programs that have these names, as util-linux's ipcrm, keep their own completion; but who asks for that of one now gets this.
_ipcbox_register() {
    local box program name others=' ' names=() asked=${COMP_WORDS-}
    set -- ipcbox fifo ipcbox-fifo ipc-fifo ipcrm-lite ipcbox-ipcrm-lite ipc-ipcrm-lite ipcrm ipcbox-ipcrm ipc-ipcrm ipcs-lite ipcbox-ipcs-lite ipc-ipcs-lite ipcs ipcbox-ipcs ipc-ipcs msgq ipcbox-msgq ipc-msgq pipe ipcbox-pipe ipc-pipe sem ipcbox-sem ipc-sem shm ipcbox-shm ipc-shm signal ipcbox-signal ipc-signal
    box=$(type -P ipcbox)
    while [[ $box ]] && read -r program; do
        name=${program##*/}
        [[ $program -ef $box || $name == "${asked##*/}" ]] || others+="$name "
    done < <(type -P "$@")
    for name; do
        [[ $others == *" $name "* ]] || names+=("$name")
    done
    complete -o nosort -F _ipcbox "${names[@]}" 2>/dev/null || complete -F _ipcbox "${names[@]}"
}
_ipcbox_register
