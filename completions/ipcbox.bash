# Completion of ipcbox and its applets for bash 4.2 and later, with or without the bash-completion package.
# Generated from the tables of the program: BLESS=1 cargo test generated
# shellcheck shell=bash disable=SC2016,SC2034,SC2154

typeset -gA _ipcbox_table=(
[.]='fifo	verb	Read and write named pipes without hanging, by line or in bulk
ipcrm-lite	verb	Remove IPC objects by id, key, name or filter
ipcs-lite	verb	Show IPC objects, their users and limits, and leaks of CMD
msgq	verb	Message queues: send, receive, work queues, request and reply
pipe	verb	Run pipelines, copy to many, merge by line, show progress
sem	verb	Job slots, locks and barriers that survive `kill -9`
shm	verb	Shared memory: texts, atomic counters, events, sealed files
signal	verb	Send, wait for and translate signals; wait for any process
sock	verb	Connect to unix and TCP sockets without losing a byte
key	verb	Print the System V key of each target
--install-all	verb	Install the binary, links, manual pages and completions
--uninstall	verb	Remove what --install-all has installed
--install	verb	Create a link in a directory for each applet
--man	verb	Show a manual page
--completions	verb	Print the completion file for SHELL
help	verb	Explain an applet, a verb or a topic
--list	verb	Print the names of the applets
--version	verb	Print the version
-V		Print the version
-h,--help		Print help (-h prints a shorter version)'
[help]='fifo	verb	Read and write named pipes without hanging, by line or in bulk
ipcrm-lite	verb	Remove IPC objects by id, key, name or filter
ipcs-lite	verb	Show IPC objects, their users and limits, and leaks of CMD
msgq	verb	Message queues: send, receive, work queues, request and reply
pipe	verb	Run pipelines, copy to many, merge by line, show progress
sem	verb	Job slots, locks and barriers that survive `kill -9`
shm	verb	Shared memory: texts, atomic counters, events, sealed files
signal	verb	Send, wait for and translate signals; wait for any process
sock	verb	Connect to unix and TCP sockets without losing a byte
key	verb	Print the System V key of each target
--install-all	verb	Install the binary, links, manual pages and completions
--uninstall	verb	Remove what --install-all has installed
--install	verb	Create a link in a directory for each applet
--man	verb	Show a manual page
--completions	verb	Print the completion file for SHELL
help	verb	Explain an applet, a verb or a topic
--list	verb	Print the names of the applets
--version	verb	Print the version
-V		Print the version
-h,--help		Print help (-h prints a shorter version)
targets	verb	Name an object: name, id, key, ftok:PATH or /posix
exit	verb	List the exit statuses
json	verb	Read the output in a program
cookbook	verb	List recipes for scripts and CI jobs'
[--version]='-v,--verbose		Also print kernel features and limits'
[fifo]='create	verb	Create FIFOs
read	verb	Copy data from FIFOs to standard output
write	verb	Write lines or standard input to a FIFO
serve	verb	Run CMD for each line written to a FIFO
stat	verb	Show the fill level, readers and writers of FIFOs
rm	verb	Remove FIFOs, and nothing else
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help (-h prints a shorter version)'
[fifo_help]='>fifo'
[help_fifo]='>fifo'
[fifo_create]='#*	file	Paths of the FIFOs
-p,--parents		Create missing directories
-x,--exclusive		Fail with status 4 if the FIFO exists
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[fifo_read]='#*	fifo	Paths of the FIFOs
--create		Create the object if it does not exist
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
--rm		Remove the FIFO at exit if this call created it
-f,--follow		Keep reading after the last writer closes the FIFO
-c,--count	-	Stop after COUNT lines; leave the rest in the FIFO
-0,--null		Treat NUL, not newline, as the end of a line
--tag		Start each line with "PATH: "
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[fifo_write]='#1	fifo	Path of the FIFO
#*	-	Lines to write instead of standard input
--create		Create the object if it does not exist
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
--lines		Write each line atomically
--readers	-	Wait until N readers open the FIFO (default: 1)
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[fifo_serve]='#1	fifo	Path of the FIFO
--create		Create the object if it does not exist
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
--rm		Remove the FIFO at exit if this call created it
-0,--null		Treat NUL, not newline, as the end of a line
-j,--jobs	-	Run at most N CMDs at once (default: 1)
--report	file	Write a JSON record of each CMD to FILE
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)'
[fifo_stat]='#*	fifo	Paths of the FIFOs
-J,--json		Print JSON Lines: one object per record
--columns	,kind,path,mode,owner,uid,group,gid,capacity,bytes,readers,writers,reading,writing	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[fifo_rm]='#*	fifo	Paths of the FIFOs
--force		Remove the FIFO even if it is in use
--missing-ok		Do not fail if the FIFO does not exist
-h,--help		Print help (-h prints a shorter version)'
[ipcrm-lite]='-m,--shmem-id	shm-id	Remove the segment with this id
-q,--queue-id	msg-id	Remove the message queue with this id
-s,--semaphore-id	sem-id	Remove the semaphore set with this id
-M,--shmem-key	shm-key	Remove the segment with this key
-Q,--queue-key	msg-key	Remove the message queue with this key
-S,--semaphore-key	sem-key	Remove the semaphore set with this key
--posix-shmem	-	Remove this POSIX shared memory object
--posix-mqueue	-	Remove this POSIX queue
--posix-semaphore	-	Remove this POSIX semaphore
--shm	+shm	Select shared memory
--msg	+msg	Select message queues
--sem	+sem	Select semaphores
#*	ipc	Objects to remove
-a,--all	?=shm,msg,sem	Select all objects, or all objects of KIND
-v,--verbose		Print each object before it is removed
--posix		Include POSIX objects
--dry-run		Show what would be removed
--yes		Do not ask for confirmation
--force		Remove the object even if it is in use
--missing-ok		Do not fail if the object does not exist
--owner	user	Select objects that USER owns
--mine		Select objects that the caller owns
--name	ipc-name	Select objects whose name matches GLOB
--older-than	-	Select objects not used or changed for DURATION
--keep	ipc	Skip TARGET, even if it is also an argument
--unused		Select objects that no process uses now
--orphaned		Select objects whose processes have all exited
-J,--json		Print JSON Lines: one object per record
--columns	,verdict,kind,family,id,key,name,owner,uid,group,gid,creator,creator_uid,creator_gid,mode,size,attached,creator_pid,last_pid,messages,bytes,max_bytes,max_messages,message_size,last_send_pid,last_receive_pid,nsems,value,waiters,op_time,attach_time,detach_time,send_time,receive_time,change_time,resident,swapped,removed,pinned	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)
-V,--version		Print the version'
[ipcrm]='>ipcrm-lite'
[ipcs-lite]='-q,--queues	+msg	List message queues
-m,--shmems	+shm	List shared memory segments
-s,--semaphores	+sem	List semaphore sets
-a,--all		List queues, segments and semaphore sets (default)
-i,--id	ipc-id	Show the object with this ID; needs -q, -m or -s
-t,--time		Show the times of last use and last change
-p,--pid		Show the pids of the creator and the last user
-c,--creator		Show creators and owners
-l,--limits	@ipcs-lite--limits	Show the limits
-u,--summary	@ipcs-lite--limits	Show how much of each limit is used
--human		Print sizes with a unit
-b,--bytes		Print sizes in bytes
-P,--posix		Include POSIX objects
--holders	@ipcs-lite--holders	Show the processes that use or wait for an object
--of	pid	Use the IPC namespace of process PID
--sort	=verdict,kind,family,id,key,name,owner,uid,group,gid,creator,creator_uid,creator_gid,mode,size,attached,creator_pid,last_pid,messages,bytes,max_bytes,max_messages,message_size,last_send_pid,last_receive_pid,nsems,value,waiters,op_time,attach_time,detach_time,send_time,receive_time,change_time,resident,swapped,removed,pinned	Sort by COLUMN
--watch		Repeat every INTERVAL (default: 2s)
--leaks	@ipcs-lite--leaks	Run CMD, and report the objects it leaves behind
--clean		Remove leaks that provably come from CMD
--isolate		Run CMD in a separate IPC namespace
--owner	user	Select objects that USER owns
--mine		Select objects that the caller owns
--name	ipc-name	Select objects whose name matches GLOB
--older-than	-	Select objects not used or changed for DURATION
--keep	ipc	Skip TARGET, even if it is also an argument
--unused		Select objects that no process uses now
--orphaned		Select objects whose processes have all exited
-J,--json		Print JSON Lines: one object per record
--columns	,verdict,kind,family,id,key,name,owner,uid,group,gid,creator,creator_uid,creator_gid,mode,size,attached,creator_pid,last_pid,messages,bytes,max_bytes,max_messages,message_size,last_send_pid,last_receive_pid,nsems,value,waiters,op_time,attach_time,detach_time,send_time,receive_time,change_time,resident,swapped,removed,pinned	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
#*	ipc	Objects to show (default: all)
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)
-V,--version		Print the version'
[ipcs-lite--holders]='-q,--queues	+msg	List message queues
-m,--shmems	+shm	List shared memory segments
-s,--semaphores	+sem	List semaphore sets
-a,--all		List queues, segments and semaphore sets (default)
-i,--id	ipc-id	Show the object with this ID; needs -q, -m or -s
-t,--time		Show the times of last use and last change
-p,--pid		Show the pids of the creator and the last user
-c,--creator		Show creators and owners
-l,--limits	@ipcs-lite--limits	Show the limits
-u,--summary	@ipcs-lite--limits	Show how much of each limit is used
--human		Print sizes with a unit
-b,--bytes		Print sizes in bytes
-P,--posix		Include POSIX objects
--holders	@ipcs-lite--holders	Show the processes that use or wait for an object
--of	pid	Use the IPC namespace of process PID
--sort	=kind,family,id,key,name,pid,command,how	Sort by COLUMN
--watch		Repeat every INTERVAL (default: 2s)
--leaks	@ipcs-lite--leaks	Run CMD, and report the objects it leaves behind
--clean		Remove leaks that provably come from CMD
--isolate		Run CMD in a separate IPC namespace
--owner	user	Select objects that USER owns
--mine		Select objects that the caller owns
--name	ipc-name	Select objects whose name matches GLOB
--older-than	-	Select objects not used or changed for DURATION
--keep	ipc	Skip TARGET, even if it is also an argument
--unused		Select objects that no process uses now
--orphaned		Select objects whose processes have all exited
-J,--json		Print JSON Lines: one object per record
--columns	,kind,family,id,key,name,pid,command,how	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
#*	ipc	Objects to show (default: all)
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)
-V,--version		Print the version'
[ipcs-lite--limits]='-q,--queues	+msg	List message queues
-m,--shmems	+shm	List shared memory segments
-s,--semaphores	+sem	List semaphore sets
-a,--all		List queues, segments and semaphore sets (default)
-i,--id	ipc-id	Show the object with this ID; needs -q, -m or -s
-t,--time		Show the times of last use and last change
-p,--pid		Show the pids of the creator and the last user
-c,--creator		Show creators and owners
-l,--limits	@ipcs-lite--limits	Show the limits
-u,--summary	@ipcs-lite--limits	Show how much of each limit is used
--human		Print sizes with a unit
-b,--bytes		Print sizes in bytes
-P,--posix		Include POSIX objects
--holders	@ipcs-lite--holders	Show the processes that use or wait for an object
--of	pid	Use the IPC namespace of process PID
--sort	=kind,family,max_queues,max_messages,message_size,max_bytes,max_user_bytes,max_segments,max_size,max_pages,min_size,free_bytes,max_sets,max_nsems,max_semaphores,max_ops,max_value,queues,messages,bytes,segments,pages,resident_pages,swapped_pages,sets,semaphores	Sort by COLUMN
--watch		Repeat every INTERVAL (default: 2s)
--leaks	@ipcs-lite--leaks	Run CMD, and report the objects it leaves behind
--clean		Remove leaks that provably come from CMD
--isolate		Run CMD in a separate IPC namespace
--owner	user	Select objects that USER owns
--mine		Select objects that the caller owns
--name	ipc-name	Select objects whose name matches GLOB
--older-than	-	Select objects not used or changed for DURATION
--keep	ipc	Skip TARGET, even if it is also an argument
--unused		Select objects that no process uses now
--orphaned		Select objects whose processes have all exited
-J,--json		Print JSON Lines: one object per record
--columns	,kind,family,max_queues,max_messages,message_size,max_bytes,max_user_bytes,max_segments,max_size,max_pages,min_size,free_bytes,max_sets,max_nsems,max_semaphores,max_ops,max_value,queues,messages,bytes,segments,pages,resident_pages,swapped_pages,sets,semaphores	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
#*	ipc	Objects to show (default: all)
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)
-V,--version		Print the version'
[ipcs-lite--leaks]='-q,--queues	+msg	List message queues
-m,--shmems	+shm	List shared memory segments
-s,--semaphores	+sem	List semaphore sets
-a,--all		List queues, segments and semaphore sets (default)
-i,--id	ipc-id	Show the object with this ID; needs -q, -m or -s
-t,--time		Show the times of last use and last change
-p,--pid		Show the pids of the creator and the last user
-c,--creator		Show creators and owners
-l,--limits	@ipcs-lite--limits	Show the limits
-u,--summary	@ipcs-lite--limits	Show how much of each limit is used
--human		Print sizes with a unit
-b,--bytes		Print sizes in bytes
-P,--posix		Include POSIX objects
--holders	@ipcs-lite--holders	Show the processes that use or wait for an object
--of	pid	Use the IPC namespace of process PID
--sort	=verdict,kind,family,id,key,name,owner,uid,group,gid,creator,creator_uid,creator_gid,mode,size,attached,creator_pid,last_pid,messages,bytes,max_bytes,max_messages,message_size,last_send_pid,last_receive_pid,nsems,value,waiters,op_time,attach_time,detach_time,send_time,receive_time,change_time,resident,swapped,removed,pinned	Sort by COLUMN
--watch		Repeat every INTERVAL (default: 2s)
--leaks	@ipcs-lite--leaks	Run CMD, and report the objects it leaves behind
--clean		Remove leaks that provably come from CMD
--isolate		Run CMD in a separate IPC namespace
--owner	user	Select objects that USER owns
--mine		Select objects that the caller owns
--name	ipc-name	Select objects whose name matches GLOB
--older-than	-	Select objects not used or changed for DURATION
--keep	ipc	Skip TARGET, even if it is also an argument
--unused		Select objects that no process uses now
--orphaned		Select objects whose processes have all exited
-J,--json		Print JSON Lines: one object per record
--columns	,verdict,kind,family,id,key,name,owner,uid,group,gid,creator,creator_uid,creator_gid,mode,size,attached,creator_pid,last_pid,messages,bytes,max_bytes,max_messages,message_size,last_send_pid,last_receive_pid,nsems,value,waiters,op_time,attach_time,detach_time,send_time,receive_time,change_time,resident,swapped,removed,pinned	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)
-V,--version		Print the version'
[ipcs]='>ipcs-lite'
[msgq]='create	verb	Create a queue
send	verb	Send messages
recv	verb	Receive messages
peek	verb	Print messages without taking them
call	verb	Send a request and print the reply
serve	verb	Run CMD for each message, and reply to msgq call
stat	verb	Show queues, or the processes that wait on them
set	verb	Change the limit, mode or owner of a queue
rm	verb	Remove queues and the messages in them
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help (-h prints a shorter version)'
[msgq_help]='>msgq'
[help_msgq]='>msgq'
[msgq_create]='#1	new	Queue to create, or '\''private'\'' for a queue without a key
--max-bytes	-	Limit the data in the queue to SIZE (System V)
--max-messages	-	Limit the queue to N messages (POSIX; default: 10)
--message-size	-	Limit each message to SIZE (POSIX; default: 8192)
-x,--exclusive		Fail with status 4 if the queue exists
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[msgq_send]='#1	msg	Queue to send to
#*	-	Messages to send; after '\''--'\'', they may begin with '\''-'\''
-t,--type	-	Set the type of the messages (System V; default: 1)
--priority	-	Set the priority to P (POSIX; default: 0)
--lines		Send each line as a message, without its newline
-0,--null		Send each NUL-terminated record, without its NUL
--create		Create the object if it does not exist
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[msgq_recv]='#1	msg	Queue to receive from
-t,--type	-	Take only messages of TYPE (System V; default: any)
--except	-	Take messages of any type except TYPE (System V)
-c,--count	-	Stop after N messages (default: 1)
--drain		Take messages until the queue is empty
--follow		Take messages until interrupted
--until	-	Stop after a message that is equal to TEXT
--raw		Do not print a newline after each message
-0,--null		Print a NUL, not a newline, after each message
-J,--json		Print each message as a line of JSON
--text		Print each message as a line, up to its first NUL
--format	-	Print each message in format F (%t %p %l %d %n)
--create		Create the object if it does not exist
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[msgq_peek]='#1	msg	Queue to inspect
--index	-	Print message N (default: 0, the oldest)
--all		Print all messages, oldest first
-J,--json		Print each message as a line of JSON
-h,--help		Print help (-h prints a shorter version)'
[msgq_call]='#1	msg	Queue that the server reads
#2	-	Request to send; after '\''--'\'', it may begin with '\''-'\''
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[msgq_serve]='#1	msg	Queue to serve
-t,--type	-	Take only messages of TYPE (System V; default: any)
-c,--count	-	Stop after N messages
--drain		Stop when the queue is empty and no CMD is running
-j,--jobs	-	Run at most N CMDs at once (default: 1)
--report	file	Write a JSON record of each CMD to FILE
--	command	Command and its arguments, run without a shell
--create		Create the object if it does not exist
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[msgq_stat]='#*	msg	Queues to show
--waiters	@msgq_stat--waiters	Show the processes that wait to send or receive
-J,--json		Print JSON Lines: one object per record
--columns	,kind,family,id,key,name,owner,uid,group,gid,creator,creator_uid,creator_gid,mode,messages,bytes,max_bytes,max_messages,message_size,last_send_pid,last_receive_pid,send_time,receive_time,change_time	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[msgq_stat--waiters]='#*	msg	Queues to show
--waiters	@msgq_stat--waiters	Show the processes that wait to send or receive
-J,--json		Print JSON Lines: one object per record
--columns	,kind,family,id,key,name,role,pid,command,type,except	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[msgq_set]='#1	msg	Queue to change
--max-bytes	-	Limit the data in the queue to SIZE (System V)
-m,--mode	-	Set the permission bits, in octal
--owner	user	Set the owner and, if GROUP is given, the group
-h,--help		Print help (-h prints a shorter version)'
[msgq_rm]='#*	msg	Objects to remove
--force		Remove the object even if it is in use
--missing-ok		Do not fail if the object does not exist
-h,--help		Print help (-h prints a shorter version)'
[pipe]='run	verb	Run a pipeline that fails if a stage fails
tee	verb	Copy standard input to files and commands
merge	verb	Run commands in parallel and merge their output by line
duplex	verb	Run two commands that read each other'\''s output
meter	verb	Copy data and show a progress bar on the terminal
stat	verb	Show the fill level, users and limits of pipes
resize	verb	Set the capacity of pipes, then run CMD
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help (-h prints a shorter version)'
[pipe_help]='>pipe'
[help_pipe]='>pipe'
[pipe_run]='--shell		Run each argument as a command line of /bin/sh
--sep	-	Separate commands with WORD (default: :::)
#*	-	Command lines to run with --shell
--	stages	Commands separated by :::, run without a shell
--strict		Treat a stage killed by SIGPIPE as failed
--fail-fast		Stop all stages as soon as one of them fails
--capacity	-	Set the capacity of each pipe to SIZE (or '\''max'\'')
--max-time	-	Send TERM after DURATION, and KILL 5s later
--then	signal	Send SIG instead of TERM, then wait D (default: 5s)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
--report	file	Write a JSON record of each command to FILE
-h,--help		Print help (-h prints a shorter version)'
[pipe_tee]='-o	file	Write to FILE ('\''-'\'' is standard output)
--append		Append to each FILE instead of truncating it
--fail-fast		Stop if a consumer fails or closes its input early
--progress		Draw a progress line for each consumer
--report	file	Write a JSON record of each command to FILE
--shell		Run each argument as a command line of /bin/sh
--sep	-	Separate commands with WORD (default: :::)
#*	-	Command lines to run with --shell
--	stages	Commands separated by :::, run without a shell
-h,--help		Print help (-h prints a shorter version)'
[pipe_merge]='--shell		Run each argument as a command line of /bin/sh
--sep	-	Separate commands with WORD (default: :::)
#*	-	Command lines to run with --shell
--	stages	Commands separated by :::, run without a shell
--tag		Start each line with the command'\''s name or number
-0,--null		Treat NUL, not newline, as the end of a line
--keep-order		Print the outputs in the order of the commands
--report	file	Write a JSON record of each command to FILE
--max-time	-	Send TERM after DURATION, and KILL 5s later
--then	signal	Send SIG instead of TERM, then wait D (default: 5s)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-h,--help		Print help (-h prints a shorter version)'
[pipe_duplex]='--shell		Run each argument as a command line of /bin/sh
--sep	-	Separate commands with WORD (default: :::)
#*	-	Command lines to run with --shell
--	stages	Commands separated by :::, run without a shell
--max-time	-	Send TERM after DURATION, and KILL 5s later
--then	signal	Send SIG instead of TERM, then wait D (default: 5s)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-h,--help		Print help (-h prints a shorter version)'
[pipe_meter]='#1	file	File to read instead of standard input
--size	-	Expect SIZE bytes, or SIZE lines with --lines
--name	-	Start the progress line with LABEL
--rate-limit	-	Pass at most RATE bytes (or lines) per second
--interval	-	Draw the progress line every DURATION (default: 1s)
--lines		Measure size and rates in lines instead of bytes
--force		Draw progress even if stderr is not a terminal
-J,--json		Report progress as one JSON object per interval
-h,--help		Print help (-h prints a shorter version)'
[pipe_stat]='#*	pipe	Pipes: FD, PID:FD, the path of a FIFO or /proc/PID/fd/N
-J,--json		Print JSON Lines: one object per record
--columns	,kind,name,capacity,bytes,packet_mode,readers,writers,reading,writing,unseen,pipe_buf,pipe_max_size,user_pages_soft,user_pages_hard	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[pipe_resize]='#1	-	New capacity in bytes, or '\''max'\'' for the maximum
#*	pipe	Pipes: FD, PID:FD or the path of a FIFO
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)'
[sem]='run	verb	Run CMD while holding a slot
lock	verb	Run CMD while holding an exclusive or shared lock
hold	verb	Hold a slot or a lock until process PID exits
barrier	verb	Wait until N callers have arrived, then return
create	verb	Create a semaphore, a set of semaphores, or slots
wait	verb	Wait until the value is at least K, then subtract K (P)
post	verb	Add to the value, and wake waiters (V)
op	verb	Perform several operations in one atomic step
get	verb	Print the value of a semaphore
set	verb	Set the values, mode or owner of semaphores
stat	verb	Show semaphores, their holders and waiters
rm	verb	Remove semaphores
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help (-h prints a shorter version)'
[sem_help]='>sem'
[help_sem]='>sem'
[sem_run]='#1	/sem-slots	Set of job slots
--slots	-	Create N slots if needed; fail if the number differs
--resize		Change the number of slots to N (from --slots N)
--take	-	Take K slots at once (default: 1)
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)'
[sem_lock]='#1	/sem-lock	Lock
-s,--shared		Take a shared lock instead of an exclusive one
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)'
[sem_hold]='#1	/sem-set	Slots or lock
#2	pid	Process for which the slot or lock is held
--slots	-	Create N slots if needed; fail if the number differs
--lock		Take a lock instead of a slot
-s,--shared		Take a shared lock instead of an exclusive one
--take	-	Take K slots at once (default: 1)
--release		Release the slots or the lock held for PID
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[sem_barrier]='#1	sem-barrier	Barrier
#2	-	Number of callers to wait for
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[sem_create]='#1	/new	Semaphore or set, or '\''private'\'' for a set without a key
--value	-	Set the values (default: 0)
--nsems	-	Create K semaphores (default: one for each value)
--slots	-	Create N slots for `sem run`
--lock		Create a lock for `sem lock`
-x,--exclusive		Fail with status 4 if the object exists
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[sem_wait]='#1	sem	Semaphore, or set of semaphores
-i,--index	-	Use semaphore N of the set (default: 0)
--by	-	Subtract K from the value (default: 1)
--zero		Wait until the value is 0, and do not change it
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[sem_post]='#1	sem	Semaphore, or set of semaphores
-i,--index	-	Use semaphore N of the set (default: 0)
--by	-	Add K to the value (default: 1)
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[sem_op]='#1	sem-set	Semaphore, or set of semaphores
#*	-	Operations such as 0:-1, 0..3:+1, 2:0 or 0:-1nu
--undo		Undo all operations when CMD exits
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)'
[sem_get]='#1	sem	Semaphore, or set of semaphores
-i,--index	-	Use semaphore N of the set (default: 0)
--all		Print all values of the set on one line
-h,--help		Print help (-h prints a shorter version)'
[sem_set]='#1	sem	Semaphore, or set of semaphores
#*	-	VALUE, INDEX=VALUE or FIRST..LAST=VALUE
-i,--index	-	Set semaphore N if VALUE has no index (default: 0)
-m,--mode	-	Set the permission bits, in octal
--owner	user	Set the owner and, if GROUP is given, the group
-h,--help		Print help (-h prints a shorter version)'
[sem_stat]='#*	/sem	Semaphores (default: all)
--holders	@sem_stat--holders	List the holders of slots and locks
--waiters	@sem_stat--holders	List the waiters and their operations
-J,--json		Print JSON Lines: one object per record
--columns	,kind,family,id,key,name,path,device,inode,owner,uid,group,gid,creator,creator_uid,creator_gid,mode,nsems,purpose,free,capacity,held,used,index,value,holders,waiting,waiters,stopped,zero_waiters,last_pid,op_time,change_time	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[sem_stat--holders]='#*	/sem	Semaphores (default: all)
--holders	@sem_stat--holders	List the holders of slots and locks
--waiters	@sem_stat--holders	List the waiters and their operations
-J,--json		Print JSON Lines: one object per record
--columns	,kind,family,id,key,name,path,purpose,role,state,slot,count,pid,command,operations	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[sem_rm]='--force		Remove the object even if it is in use
--missing-ok		Do not fail if the object does not exist
--unused		Remove only slots and locks that no process uses
--older-than	-	Remove only objects unused for DURATION or longer
--yes		Do not ask for confirmation
#*	/sem	Objects to remove
-h,--help		Print help (-h prints a shorter version)'
[shm]='create	verb	Create a segment or POSIX object filled with zeros
write	verb	Write TEXT or standard input to shared memory
read	verb	Print the content of a segment or POSIX object
get	verb	Print the value of a word in shared memory
set	verb	Set a word, or change the size, pinning, mode or owner
add	verb	Add to a word in shared memory, and print the new value
cas	verb	Set a word to NEW if its value is OLD
wait	verb	Wait until a 32-bit word has a given value
stat	verb	Show segments and POSIX objects, or processes that use them
memfd	verb	Run CMD with the path of a sealed memory file
rm	verb	Remove segments and POSIX objects
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help (-h prints a shorter version)'
[shm_help]='>shm'
[help_shm]='>shm'
[shm_create]='#1	new	Object to create, or '\''private'\'' for a segment without a key
--size	-	Create the object with this size: 4096, 64K, 2G
-x,--exclusive		Fail with status 4 if the object exists
--huge		Use huge pages (System V)
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[shm_write]='#1	shm	Segment or POSIX object to write to
#2	-	Text to write instead of standard input
--offset	-	Start at byte offset N (default: 0)
--create		Create a missing object, as large as the data
--clear		Set the rest of the object to zeros
--replace		Replace the content, and resize to fit it (POSIX)
--lock	sem	Hold the lock SEM during the access (see sem lock)
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-h,--help		Print help (-h prints a shorter version)'
[shm_read]='#1	shm	Segment or POSIX object to read
--offset	-	Start at byte offset N (default: 0)
--length	-	Read at most N bytes
--text		Stop before the first NUL
--lock	sem	Hold the lock SEM during the access (see sem lock)
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-h,--help		Print help (-h prints a shorter version)'
[shm_get]='#1	shm	Segment or POSIX object
--offset	-	Use the word at byte offset N (default: 0)
--bits	=32,64	Use a word of 32 or 64 bits (default: 32)
-h,--help		Print help (-h prints a shorter version)'
[shm_set]='#1	shm	Segment or POSIX object
--offset	-	Use the word at byte offset N (default: 0)
--bits	=32,64	Use a word of 32 or 64 bits (default: 32)
#2	-	New value of the word
--size	-	Set the size (POSIX)
--pin		Keep the segment from being swapped out (System V)
--unpin		Allow the segment to be swapped out again
--create		Create a missing object (one page of zeros)
--foreign		Accept an object that belongs to another user
-m,--mode	-	Set the permission bits, in octal
--owner	user	Set the owner and, if GROUP is given, the group
-h,--help		Print help (-h prints a shorter version)'
[shm_add]='#1	shm	Segment or POSIX object
--offset	-	Use the word at byte offset N (default: 0)
--bits	=32,64	Use a word of 32 or 64 bits (default: 32)
--by	-	Add K (default: 1)
--create		Create a missing object (one page of zeros)
-m,--mode	-	Create the object with this mode (default: 0600)
--foreign		Accept an object that belongs to another user
-h,--help		Print help (-h prints a shorter version)'
[shm_cas]='#1	shm	Segment or POSIX object
--offset	-	Use the word at byte offset N (default: 0)
--bits	=32,64	Use a word of 32 or 64 bits (default: 32)
#2	-	Expected value of the word
#3	-	New value of the word
-h,--help		Print help (-h prints a shorter version)'
[shm_wait]='#1	shm	Segment or POSIX object
--offset	-	Use the word at byte offset N (default: 0)
--bits	=32,64	Use a word of 32 or 64 bits (default: 32)
#2	-	Value to compare the word with
--until	=eq,ne,ge,le	Choose how to compare with VALUE (default: eq)
--changed		Wait until the word changes
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[shm_stat]='#*	shm	Segments and POSIX objects to show
--holders	@shm_stat--holders	Show the processes that have objects mapped or open
-J,--json		Print JSON Lines: one object per record
--columns	,kind,family,id,key,name,size,owner,uid,group,gid,creator,creator_uid,creator_gid,mode,attached,creator_pid,last_pid,attach_time,detach_time,change_time,resident,swapped,removed,pinned	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[shm_stat--holders]='#*	shm	Segments and POSIX objects to show
--holders	@shm_stat--holders	Show the processes that have objects mapped or open
-J,--json		Print JSON Lines: one object per record
--columns	,kind,family,id,key,name,pid,command,mappings,descriptors	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[shm_memfd]='#1	file	File to copy (default: standard input)
--name	-	Show the file as NAME in /proc (default: ipcbox)
--writable		Leave the file unsealed, so that CMD can change it
--executable		Allow the file to be executed
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)'
[shm_rm]='#*	shm	Objects to remove
--force		Remove the object even if it is in use
--missing-ok		Do not fail if the object does not exist
-h,--help		Print help (-h prints a shorter version)'
[signal]='send	verb	Send a signal to processes, and wait until they exit
wait	verb	Wait for signals, and print each one
run	verb	Run CMD with signal handling, a time limit and cleanup
join	verb	Wait until processes exit, and print how they exited
stat	verb	Show pending, blocked, ignored and caught signals
list	verb	Show signals, or look up a name, number, status or mask
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help (-h prints a shorter version)'
[signal_help]='>signal'
[help_signal]='>signal'
[signal_send]='#1	signal	Signal: TERM, 15, RTMIN+3, or 0 (send nothing)
#*	pid	PIDs, or PID:INODE or PID@START to resist pid reuse
--value	-	Send the number N with SIG, as sigqueue(3) does
--group		Send to the process group that PID leads
--tree		Send to PID and all its descendants
--below		Send to all descendants of PID, not to PID itself
--when-caught	-	Wait at most D until PID has a handler for SIG
--wait	-	Wait at most D until the processes have exited
--then	signal	Send SIG if PID survives, then wait D (default: 5s)
--missing-ok		Do not fail if a process does not exist
--dry-run		Show the processes, but do not signal them
-J,--json		Print JSON Lines: one object per record
--columns	,pid,result,status,signal,number,command	Show only these columns, in this order
-h,--help		Print help (-h prints a shorter version)'
[signal_wait]='#*	signal	Signals: TERM, 15, RTMIN+3, or several as INT,TERM
-c,--count	-	Exit after N signals (default: 1)
--ready	file	Write the pid to FILE when ready for signals
-J,--json		Print JSON Lines: one object per record
--columns	,signal,number,sender_pid,sender_uid,sender_command,code,value	Show only these columns, in this order
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[signal_run]='--ignore	signal	Ignore these signals in CMD, for example INT,TERM
--block	signal	Block these signals in CMD
--default	signal	Reset these signals in CMD to their default action
--map	signal	Translate signal A to B for CMD; A= drops A
--on	signal	Run CMDLINE with /bin/sh when SIG arrives
--forward	=cmd,group,tree	Forward signals to cmd, group or tree (default: cmd)
--parent-death	signal	Send SIG to CMD when the parent of ipcbox exits
--reap		Reap orphaned descendants of CMD, as init does
--kill-tree		Kill all descendants of CMD when CMD exits
--max-time	-	Send TERM after DURATION, and KILL 5s later
--then	signal	Send SIG instead of TERM, then wait D (default: 5s)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
--	command	Command and its arguments, run without a shell
-h,--help		Print help (-h prints a shorter version)'
[signal_join]='#*	pid	PIDs, or PID:INODE or PID@START to resist pid reuse
-c,--count	-	Return after N processes have exited (default: all)
-J,--json		Print JSON Lines: one object per record
--columns	,pid,result,status,signal,number,command	Show only these columns, in this order
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[signal_stat]='#*	pid	PIDs, or PID:INODE or PID@START to resist pid reuse
--threads		Show one line per thread
--stuck	@signal_stat--stuck	Show only signals that are both pending and blocked
-J,--json		Print JSON Lines: one object per record
--columns	,pid,thread,inode,start,pending,shared_pending,blocked,ignored,caught,command	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[signal_stat--stuck]='#*	pid	PIDs, or PID:INODE or PID@START to resist pid reuse
--threads		Show one line per thread
--stuck	@signal_stat--stuck	Show only signals that are both pending and blocked
-J,--json		Print JSON Lines: one object per record
--columns	,pid,thread,inode,start,stuck,command	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[signal_list]='#*	signal	Name, number, exit status above 128, or mask (0x4002)
-J,--json		Print JSON Lines: one object per record
--columns	,number,signal,action,meaning	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[sock]='connect	verb	Send standard input to a server and print its reply
serve	verb	Run CMD for each connection, call or datagram
call	verb	Run the CMD of a server on your own files
send	verb	Send lines or messages to a server
recv	verb	Print lines and messages that clients send
wait	verb	Wait until servers accept, without connecting to them
with	verb	Start a server for CMD, and stop it afterwards
activate	verb	Run CMD with sockets that already listen
stat	verb	Show sockets and the processes at both ends
rm	verb	Remove stale sockets, and nothing else
help	verb	Explain a verb
-V,--version		Print the version
-h,--help		Print help (-h prints a shorter version)'
[sock_help]='>sock'
[help_sock]='>sock'
[sock_connect]='#1	address	Address of the server
--await		Wait for a server that does not exist yet
--foreign		Accept a server that belongs to another user
--fd	-	Pass the connection as descriptor N (default: 0, 1)
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
--	command	Command and its arguments, run as given
-h,--help		Print help (-h prints a shorter version)'
[sock_serve]='#*	address	Addresses to listen on; port 0 chooses a free port
-c,--count	-	Stop after N connections, calls and datagrams
-m,--mode	-	Create a path with this mode (default: 0600)
--allow	user	Accept clients of user WHO: a name, a uid, or any
--max-time	-	Send TERM after DURATION, and KILL 5s later
--then	signal	Send SIG instead of TERM, then wait D (default: 5s)
-j,--jobs	-	Run at most N CMDs at once (default: 1)
--report	file	Write a JSON record of each CMD to FILE
--	command	Command and its arguments, run without a shell
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[sock_call]='#1	address	Address of the server
#2	-	Input for CMD; after '\''--'\'', it may begin with '\''-'\''
--await		Wait for a server that does not exist yet
--foreign		Accept a server that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[sock_send]='#1	address	Address of the server
#*	-	Messages to send; after '\''--'\'', they may begin with '\''-'\''
--lines		Send each line as a message, without its newline
-0,--null		Send each NUL-terminated record, without its NUL
--end		Send EOF on the connection fd:N after the data
--await		Wait for a server that does not exist yet
--foreign		Accept a server that belongs to another user
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[sock_recv]='#*	address	Addresses to listen on; port 0 chooses a free port
-c,--count	-	Stop after N lines and messages in total
--follow		Receive until interrupted
--raw		Print data unchanged, without added newlines
-0,--null		Treat NUL, not newline, as the end of a line
-J,--json		Print each line or message as a line of JSON
--tag		Start each line with "ADDR: "
-m,--mode	-	Create a path with this mode (default: 0600)
--allow	user	Accept clients of user WHO: a name, a uid, or any
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[sock_wait]='#*	address	Addresses of the servers
--gone		Wait until no ADDR has a server any more
--any		Wait for any one ADDR, not for all of them
--pid	pid	Exit with status 3 when process PID exits
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
--	command	Command that succeeds once the servers are ready
-h,--help		Print help (-h prints a shorter version)'
[sock_with]='#*	address	Addresses of SERVER
--pass		Pass listening sockets to SERVER (LISTEN_FDS)
--sep	-	Separate SERVER and CMD with WORD (default: :::)
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
--	stages	SERVER, then ::: and CMD, run without a shell
-h,--help		Print help (-h prints a shorter version)'
[sock_activate]='#*	address	Addresses to listen on, or fd:N to pass a socket on
--reserve		Keep the TCP port free until CMD binds it
-m,--mode	-	Create a path with this mode (default: 0600)
--	command	Command and its arguments, run as given
-h,--help		Print help (-h prints a shorter version)'
[sock_stat]='#*	address	Addresses of sockets (default: all)
--listening		Show only sockets that take connections or datagrams
--pid	pid	Show only the sockets of this process
-J,--json		Print JSON Lines: one object per record
--columns	,address,type,state,owner,pid,command,peer,peer_pid,peer_command,receive_queue,send_queue,backlog,pending,mode	Show only these columns, in this order
--no-header		Omit the header line
--color	=auto,always,never	Use colour: auto, always or never (default: auto)
-h,--help		Print help (-h prints a shorter version)'
[sock_rm]='#*	socket	Paths of the sockets
--force		Remove it even if it is in use
--missing-ok		Do not fail if it does not exist
-w,--timeout	-	Wait at most DURATION (5, 0.25, 250ms, 1m30s, 2h)
-n,--nonblock		Do not wait (same as --timeout 0)
-E,--timeout-status	-	Exit with status N on timeout (default: 124)
-v,--verbose		Show the object and the process that block the call
-q,--quiet		Do not print ids, pids or messages about waiting
-h,--help		Print help (-h prints a shorter version)'
[key]='#*	key	Names, keys, ftok:PATH or ftok:PATH:N
-h,--help		Print help (-h prints a shorter version)'
[--install-all]='--prefix	-	Start the name of each link with P, for example ipc-
--force		Replace files that differ
--dry-run		List what would be done, and change nothing
#1	dir	Directory, for example ~/.local or /usr/local
-h,--help		Print help (-h prints a shorter version)'
[--uninstall]='--dry-run		List what would be removed, and change nothing
#1	dir	Directory that was given to --install-all
-h,--help		Print help (-h prints a shorter version)'
[--install]='--prefix	-	Start each name with P, for example ipc-
--force		Replace existing files that are in the way
#1	dir	Directory for the links
#*	applet	Applets to link (default: all but ipcs and ipcrm)
-h,--help		Print help (-h prints a shorter version)'
[--man]='#1	=fifo,ipcrm-lite,ipcs-lite,msgq,pipe,sem,shm,signal,sock,ipcbox,cookbook	Page: an applet, ipcbox or cookbook (default: ipcbox)
-h,--help		Print help (-h prints a shorter version)'
[--completions]='#1	=bash,zsh,fish	Shell: bash, zsh or fish
-h,--help		Print help (-h prints a shorter version)'
[signals]='HUP	-	the terminal was closed; daemons reload their configuration
INT	-	interrupt from the keyboard (^C)
QUIT	-	quit from the keyboard (^\)
ILL	-	an invalid instruction
TRAP	-	a breakpoint
ABRT	-	the program called abort(3)
BUS	-	access to unbacked memory, such as beyond the end of a mapped file
FPE	-	an arithmetic error, such as a division by zero
KILL	-	kill; cannot be caught, blocked or ignored
USR1	-	user-defined
SEGV	-	invalid access to memory
USR2	-	user-defined
PIPE	-	a write to a pipe or socket without a reader
ALRM	-	the timer of alarm(2) has expired
TERM	-	terminate
STKFLT	-	a stack fault of a coprocessor (unused)
CHLD	-	a child exited, stopped or continued
CONT	-	continue if stopped
STOP	-	stop; cannot be caught, blocked or ignored
TSTP	-	stop from the keyboard (^Z)
TTIN	-	a background process read from its terminal
TTOU	-	a background process wrote to its terminal
URG	-	urgent data on a socket
XCPU	-	the CPU time limit was reached
XFSZ	-	the file size limit was reached
VTALRM	-	a CPU timer has expired
PROF	-	a profiling timer has expired
WINCH	-	the terminal window was resized
IO	-	a file descriptor is ready
PWR	-	power failure
SYS	-	an invalid system call, or one blocked by a seccomp filter
RTMIN	-	user-defined real-time signal, queued in order with a value
RTMIN+1	-	user-defined real-time signal, queued in order with a value
RTMIN+2	-	user-defined real-time signal, queued in order with a value
RTMIN+3	-	user-defined real-time signal, queued in order with a value
RTMIN+4	-	user-defined real-time signal, queued in order with a value
RTMIN+5	-	user-defined real-time signal, queued in order with a value
RTMIN+6	-	user-defined real-time signal, queued in order with a value
RTMIN+7	-	user-defined real-time signal, queued in order with a value
RTMIN+8	-	user-defined real-time signal, queued in order with a value
RTMIN+9	-	user-defined real-time signal, queued in order with a value
RTMIN+10	-	user-defined real-time signal, queued in order with a value
RTMIN+11	-	user-defined real-time signal, queued in order with a value
RTMIN+12	-	user-defined real-time signal, queued in order with a value
RTMIN+13	-	user-defined real-time signal, queued in order with a value
RTMIN+14	-	user-defined real-time signal, queued in order with a value
RTMIN+15	-	user-defined real-time signal, queued in order with a value
RTMAX-14	-	user-defined real-time signal, queued in order with a value
RTMAX-13	-	user-defined real-time signal, queued in order with a value
RTMAX-12	-	user-defined real-time signal, queued in order with a value
RTMAX-11	-	user-defined real-time signal, queued in order with a value
RTMAX-10	-	user-defined real-time signal, queued in order with a value
RTMAX-9	-	user-defined real-time signal, queued in order with a value
RTMAX-8	-	user-defined real-time signal, queued in order with a value
RTMAX-7	-	user-defined real-time signal, queued in order with a value
RTMAX-6	-	user-defined real-time signal, queued in order with a value
RTMAX-5	-	user-defined real-time signal, queued in order with a value
RTMAX-4	-	user-defined real-time signal, queued in order with a value
RTMAX-3	-	user-defined real-time signal, queued in order with a value
RTMAX-2	-	user-defined real-time signal, queued in order with a value
RTMAX-1	-	user-defined real-time signal, queued in order with a value
RTMAX	-	user-defined real-time signal, queued in order with a value'
)

# Enters a place of the table.
_ipcbox_enter() {
    place=$1
    local text=${_ipcbox_table[$place]}
    if [[ $text == '>'* ]]; then
        place=${text#>}
        text=${_ipcbox_table[$place]}
    fi
    mapfile -t rows <<<"$text"
}

# Finds the kind of value and the description of a word of this place.
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

# Offers a word with its description if it starts with the typed text.
_ipcbox_offer() {
    if [[ $1 == "$current"* ]]; then
        offers+=("$1")
        texts+=("${2-}")
    fi
}

# Offers the words of the rows with this kind of value, or all options.
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

# Keeps the typed text up to the last of these characters.
_ipcbox_keep() {
    local rest=${current##*["$1"]}
    before+=${current%"$rest"}
    current=$rest
}

# Offers directories and the files for which this test of the shell is true.
_ipcbox_files() {
    local file files path
    mapfile -t files < <(compgen -f -- "$current")
    for file in "${files[@]}"; do
        path=${file/#\~\//$HOME/}
        if [ -d "$path" ] || test "$1" "$path"; then
            _ipcbox_offer "$file"
        fi
    done
    as_files=1
    compopt -o filenames
}

# Offers processes or existing objects, as ipcbox lists them.
# A called program in PATH is run if its real name is that of ipcbox, otherwise the ipcbox in PATH. A path may be that of any script.
_ipcbox_offer_live() {
    local program='' lines
    [[ ${words[0]} == */* ]] || program=$(readlink -f -- "$(type -P -- "${words[0]}")" 2>/dev/null)
    [[ ${program##*/} == ipcbox* ]] || program=$(type -P ipcbox) || return 0
    mapfile -t lines < <(exec "$program" --complete "$1" "$current" 2>/dev/null </dev/null)
    offers+=("${lines[@]%%$'\t'*}")
    texts+=("${lines[@]#*$'\t'}")
}

_ipcbox_values() {
    local word files
    case $1 in
        =*) for word in ${1//[=,]/ }; do _ipcbox_offer "$word"; done ;;
        ,*)
            _ipcbox_keep ,
            for word in ${1//,/ }; do
                [[ =$before == *[=,]"$word",* ]] || _ipcbox_offer "$word"
            done
            ;;
        /*)
            # With a slash, a file is meant, or a POSIX object.
            [[ $current != */* || $current == ftok:* ]] || _ipcbox_files -f
            _ipcbox_values "${1#/}"
            ;;
        file) compopt -o default ;;
        dir) compopt -o dirnames ;;
        fifo) _ipcbox_files -p ;;
        socket) _ipcbox_files -S ;;
        address) if [[ $current == */* ]]; then _ipcbox_files -S; else _ipcbox_offer_live address; fi ;;
        pipe)
            if [[ $current == +([0-9]):* ]]; then
                _ipcbox_keep :
                mapfile -t files < <(compgen -G "/proc/${before%:}/fd/*")
                for word in "${files[@]}"; do
                    [[ ! -p $word ]] || _ipcbox_offer "${word##*/}"
                done
            else
                _ipcbox_files -p
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
            [[ $1 == new ]] || _ipcbox_offer_live "${1/#ipc/$kind}"
            if [[ $current == ftok:* ]]; then
                # The files, if no object has such a name.
                compopt -o default
            else
                [[ $1 == *-[ikn]* || ($1 != new && $1 != key && $current != f*) ]] || _ipcbox_offer ftok: 'The key of a file'
            fi
            ;;
    esac
}

# Completes the command that starts at this word as the shell does.
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

# Passes the offers to readline, with their descriptions if it lists them.
_ipcbox_reply() {
    local i word width=0 listed='' cut=${typed%"$1"}
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
    # The words as the shell splits them; readline also splits at : and =.
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
        # Another program can have this name, such as the sem of GNU parallel.
        local ipcbox program
        ipcbox=$(type -P ipcbox) program=$(type -P "$name")
        if [[ $ipcbox && $program && ! $program -ef $ipcbox ]]; then
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
                @*) _ipcbox_enter "${value#?}" ;;
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

# Other programs with these names, such as the ipcrm of util-linux, keep their own completion, unless bash has just asked for this one.
_ipcbox_register() {
    local ipcbox program name others=' ' names=() asked=${COMP_WORDS-}
    set -- ipcbox fifo ipcbox-fifo ipc-fifo ipcrm-lite ipcbox-ipcrm-lite ipc-ipcrm-lite ipcrm ipcbox-ipcrm ipc-ipcrm ipcs-lite ipcbox-ipcs-lite ipc-ipcs-lite ipcs ipcbox-ipcs ipc-ipcs msgq ipcbox-msgq ipc-msgq pipe ipcbox-pipe ipc-pipe sem ipcbox-sem ipc-sem shm ipcbox-shm ipc-shm signal ipcbox-signal ipc-signal sock ipcbox-sock ipc-sock
    ipcbox=$(type -P ipcbox)
    while [[ $ipcbox ]] && read -r program; do
        name=${program##*/}
        [[ $program -ef $ipcbox || $name == "${asked##*/}" ]] || others+="$name "
    done < <(type -P "$@")
    for name; do
        [[ $others == *" $name "* ]] || names+=("$name")
    done
    complete -o nosort -F _ipcbox "${names[@]}" 2>/dev/null || complete -F _ipcbox "${names[@]}"
}
_ipcbox_register
